"""The search for the highest rate, on servers whose capacity is known."""

import os
import signal
import threading
import time

import pytest

from modelport.errors import InvalidArgument
from modelport_client.loadtest.found import Bound, Found
from modelport_client.loadtest.intervals import geometric
from modelport_client.loadtest.measurement import Measurement
from modelport_client.loadtest.processes import Generators
from modelport_client.loadtest.run import Interruption
from modelport_client.loadtest.search import Search
from tests.client.loadtest.conftest import open_plan
from tests.support.answering_server import after, answer


def search(generators, server, bound: str, budget: float, first: float | None = None, **more) -> Found:
    asked = Bound.parse(bound)
    measurement = Measurement(generators, open_plan(server.address, 1, 1), asked, Interruption())
    return Search(asked, measurement.at_rate, budget, first or measurement.pilot(), **more).find()


@pytest.mark.slow
def test_the_capacity_of_a_server_is_found(answering, one_generator):
    """One worker of 5 ms serves fewer than 200 a second, and less than that within 40 ms, by queueing theory."""
    found = search(one_generator, answering(after(0.005)), "p50=40ms", 9)
    assert found.rate is not None, found.tries
    assert 50 < found.rate < 200
    assert 2 * found.held > found.repeated
    assert found.latency.mean <= 0.040 * 2
    assert any(one.holds is False for one in found.tries if one.rate > found.rate)
    assert "requests a second hold p50 ≤ 40 ms" in found.words
    facts = found.to_json()
    assert facts["rate_per_s"] == found.rate
    assert len(facts["runs"]) == len(found.tries)


def test_a_bound_below_the_service_time_is_never_held(answering, one_generator):
    found = search(one_generator, answering(after(0.02), workers=16), "p50=5ms", 4, first=2)
    assert found.rate is None
    assert "No rate was found" in found.words


def test_errors_do_not_hold_a_bound(answering, one_generator):
    import grpc

    turn = iter(range(10**9))

    def respond(request, context):
        if next(turn) % 20 == 0:
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "full")
        return answer()

    found = search(one_generator, answering(respond, workers=4), "p50=50ms", 3, first=100)
    assert found.rate is None
    assert all(one.failed for one in found.tries)
    assert "RESOURCE_EXHAUSTED: full" in found.tries[0].words


def test_a_late_generator_is_no_evidence(answering):
    """It is stopped again and again: the search says so, and not that the server fails."""
    is_over = threading.Event()
    with Generators(1) as generators:

        def disturb() -> None:
            while not is_over.wait(0.02):
                os.kill(generators.pids[0], signal.SIGSTOP)
                time.sleep(0.08)
                os.kill(generators.pids[0], signal.SIGCONT)

        disturbing = threading.Thread(target=disturb)
        disturbing.start()
        found = search(generators, answering(lambda *_: answer(), workers=4), "p90=40ms", 3, first=100)
        is_over.set()
        disturbing.join()
    assert found.rate is None
    assert "the generator sent" in found.tries[0].words
    assert all(one.holds is None for one in found.tries), found.tries


def test_a_search_that_is_ended_early_says_so(answering, one_generator):
    found = search(one_generator, answering(lambda *_: answer()), "p50=50ms", 60, first=10, is_over=lambda: True)
    assert found.rate is None
    assert "ended early" in found.words


@pytest.mark.parametrize("text", ["p99", "p99=20", "99=20ms", "p100=1s", "p0=1s", "p99=0ms", "p99=20 m", "p99.9.9=1ms"])
def test_bounds_that_make_no_sense(text):
    with pytest.raises(InvalidArgument, match="Expected"):
        Bound.parse(text)


def test_bounds():
    assert Bound.parse("p99=20ms") == Bound(99, 0.02)
    assert Bound.parse("p99.9=1.5s") == Bound(99.9, 1.5)
    assert Bound.parse("p50=250us").seconds == pytest.approx(250e-6)
    assert str(Bound(99.9, 0.02)) == "p99.9 ≤ 20 ms"


def test_intervals():
    interval = geometric([1.0, 2.0, 4.0])
    assert interval.mean == pytest.approx(2)
    assert interval.low == pytest.approx(2 / 2 ** (4.303 / 3**0.5), rel=1e-3)
    assert geometric([5.0]).low is None
    assert geometric([3.0] * 40).high == pytest.approx(3)
