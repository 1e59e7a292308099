"""Whether the generator was the bottleneck is told, and only then."""

import os
import signal
import threading

import numpy as np
import pytest

from modelport_client.loadtest.processes import Generators
from modelport_client.loadtest.results.generator_cost import GeneratorCost
from modelport_client.loadtest.results.histogram import Histogram
from modelport_client.loadtest.results.result import result_of
from tests.client.loadtest.conftest import closed_plan, open_plan
from tests.support.answering_server import after, answer


def cost(lateness_ms, busiest: float = 0.2, starved: float | None = 0.1) -> GeneratorCost:
    return GeneratorCost("a test", 1, busiest, starved, busiest, Histogram(np.array(lateness_ms) * 1e-3))


def test_a_generator_that_stood_still_is_no_result(answering):
    """As one does on a machine that has no processor for it: here it is stopped for most of the run."""
    plan = open_plan(answering(lambda *_: answer(), workers=4).address, 300, 1)
    with Generators(1) as generators:
        stopped = threading.Event()

        def stop(seconds: float) -> None:
            if seconds > 0 and not stopped.is_set():
                stopped.set()
                os.kill(generators.pids[0], signal.SIGSTOP)
                threading.Timer(0.7, os.kill, (generators.pids[0], signal.SIGCONT)).start()

        result = result_of(plan, generators.run(plan, progress=stop))
    assert result.failed == 0
    assert result.requests > 200, "none is skipped"
    assert result.bottleneck is not None
    assert "the generator sent" in result.bottleneck
    assert result.to_json()["is_result"] is False


def test_a_server_that_is_slow_is_a_result(answering, run):
    result = run(open_plan(answering(after(0.1), workers=64).address, 100, 1))
    assert result.bottleneck is None
    assert result.cost.lateness.at(50) < 0.05
    assert 0 < result.cost.cpu_share < 0.9


def test_a_closed_loop_that_keeps_a_process_busy_is_no_result():
    histogram = Histogram([0.001] * 100)
    assert "set the pace" in (cost([0], busiest=0.95).bottleneck(False, histogram) or "")
    assert cost([0], busiest=0.85).bottleneck(False, histogram) is None


def test_a_closed_loop_on_a_slow_server_is_a_result(answering, run):
    result = run(closed_plan(answering(after(0.02), workers=8).address, 8, 1))
    assert result.bottleneck is None
    assert result.answered == pytest.approx(8 / 0.02, rel=0.4)


def test_one_late_request_of_many_is_no_bottleneck():
    took = [0.002] * 99 + [0.1]
    assert cost([0.1] * 99 + [98.0]).bottleneck(True, Histogram(took)) is None
    assert cost([1.5] * 100).bottleneck(True, Histogram(took)) is not None


def test_lateness_is_held_against_the_bound():
    late = cost([6.0] * 1000)
    assert late.too_late_for(99, 0.020, holds=True) is not None
    assert late.too_late_for(99, 0.030, holds=True) is None
    assert late.too_late_for(99, 0.030, holds=False) is None, "the server is slow without the generator's part, too"
    assert late.too_late_for(99, 0.010, holds=False) is not None
    assert "waited for a processor 10%" in late.too_late_for(99, 0.010, holds=False)


def test_percentiles_are_exact_to_three_digits():
    random = np.random.default_rng(3)
    seconds = random.lognormal(-6, 1, 50_000)
    histogram = Histogram(seconds)
    for percentile in (50, 90, 99, 99.9):
        assert histogram.at(percentile) == pytest.approx(np.percentile(seconds, percentile), rel=3e-3)
    assert histogram.at(100) == seconds.max()
    assert histogram.founded == 99.9
    assert Histogram(seconds[:100]).founded == 50
    assert Histogram([]).at(50) is None


def test_the_encoded_histogram_is_read_by_the_library():
    from hdrh.histogram import HdrHistogram

    decoded = HdrHistogram.decode(Histogram([0.001] * 99 + [0.5]).encoded())
    assert decoded.get_total_count() == 100
    assert decoded.get_value_at_percentile(50) == pytest.approx(1000, rel=1e-3)
