"""Runs against real servers: what counts, from when, and what is told."""

import os
import signal
import threading
import time

import grpc
import pytest

from modelport.errors import Internal, Unavailable
from modelport_client.loadtest.processes import Generators
from modelport_client.loadtest.results.result import result_of
from tests.client.loadtest.conftest import closed_plan, open_plan
from tests.support.answering_server import AnsweringServer, after, answer
from tests.support.ports import free_port


def at_once(request, context):
    return answer()


def stalling(seconds: float, after_requests: int):
    """Answers at once, but for one stall that holds all back."""
    lock = threading.Lock()
    seen = 0

    def respond(request, context):
        nonlocal seen
        with lock:
            seen += 1
            if seen == after_requests:
                time.sleep(seconds)
        return answer()

    return respond


def test_a_stall_shows_in_the_tail_of_an_open_loop_and_hides_in_a_closed_one(answering, run):
    """Coordinated omission: a closed loop asks nothing while it waits, so it sees one slow request."""
    server = answering(stalling(0.5, 100), workers=4)
    opened = run(open_plan(server.address, 200, 1))
    assert opened.failed == 0
    assert opened.latency.at(90) > 0.2, "100 of 200 requests were due while the server stood still"
    assert opened.latency.at(100) >= 0.45
    server = answering(stalling(0.5, 20), workers=4)
    closed = run(closed_plan(server.address, 1, 1))
    assert closed.latency.at(100) >= 0.45
    assert closed.latency.at(90) < 0.2


def test_the_timeline_shows_when_it_was(answering, run):
    result = run(open_plan(answering(stalling(0.6, 250), workers=4).address, 200, 2, arrivals="steady"))
    assert [second.due for second in result.timeline] == [200, 200]
    longest = [second.longest_ms for second in result.timeline]
    assert longest[1] > 450
    assert longest[0] < longest[1]
    assert sum(second.answered for second in result.timeline) <= 400


def test_errors_are_told_by_kind(answering, run):
    turn = iter(range(10**9))

    def respond(request, context):
        match next(turn) % 4:
            case 0:
                context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "the queue is full: 100 % ü")
            case 1:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no such input")
        return answer(7)

    result = run(open_plan(answering(respond).address, 200, 1, arrivals="steady"))
    kinds = {(error.code, error.message): error.count for error in result.errors}
    assert kinds == {
        ("RESOURCE_EXHAUSTED", "the queue is full: 100 % ü"): 50,
        ("INVALID_ARGUMENT", "no such input"): 50,
    }
    assert result.answered_by == {7: 100}
    assert result.failed == 100
    facts = result.to_json()
    assert facts["failed"] == 100
    assert facts["requests"] == 200
    assert sum(facts["reasons"].values()) == 100


def test_a_request_without_an_answer_in_time_fails(answering, run):
    result = run(open_plan(answering(after(0.6), workers=50).address, 20, 0.5, timeout_s=0.2))
    assert {error.code for error in result.errors} == {"DEADLINE_EXCEEDED"}
    assert result.failed == result.requests > 0
    assert "within 0.2 s" in result.errors[0].message


def test_the_warm_up_does_not_count(answering, run):
    slow_at_first = time.monotonic() + 1.0

    def respond(request, context):
        if time.monotonic() < slow_at_first:
            time.sleep(1)
        return answer()

    result = run(open_plan(answering(respond, workers=128).address, 100, 1, warm_up_s=1.2, arrivals="steady"))
    assert result.requests == 100
    assert result.warm_up_requests == 120
    assert result.latency.at(100) < 0.9
    assert result.seconds == pytest.approx(1, abs=0.01)


def test_a_limit_of_requests_under_way_is_told_and_nothing_is_skipped(answering, run):
    result = run(open_plan(answering(after(0.05), workers=50).address, 200, 1, under_way=4, arrivals="steady"))
    assert result.requests == 200
    assert result.failed == 0
    assert result.most_under_way == 4
    assert result.held_back > 100
    assert result.latency.at(100) > 1, "time counts from when a request was due"
    assert result.bottleneck is None, "the limit is no fault of the generator"


@pytest.mark.slow
def test_several_processes_make_one_load(answering, run):
    result = run(open_plan(answering(at_once, workers=4).address, 300, 1, processes=3, arrivals="steady"))
    assert result.requests == 300
    assert result.failed == 0
    assert result.cost.processes == 3
    assert result.answered_by == {1: 300}


def test_a_process_that_dies_is_told(answering):
    plan = open_plan(answering(at_once).address, 50, 30, processes=2)
    with Generators(2) as generators:
        killer = threading.Timer(1.0, os.kill, (generators.pids[1], signal.SIGKILL))
        killer.start()
        with pytest.raises(Internal, match=r"process 2 of 2 ended by signal 9.*no result"):
            generators.run(plan)
        killer.join()
        pids = generators.pids
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_nobody_there(run):
    with pytest.raises(Unavailable, match="No server answers at"):
        run(open_plan(f"127.0.0.1:{free_port()}", 10, 1))


def test_a_run_that_is_stopped_tells_what_it_saw(answering):
    plan = open_plan(answering(at_once).address, 100, 60)
    with Generators(1) as generators:
        threading.Timer(1.0, generators.stop).start()
        result = result_of(plan, generators.run(plan))
    assert 0 < result.requests < 200
    assert result.seconds < 10
    assert result.failed == 0


@pytest.mark.parametrize("kind", ["{}", "ipv4:{}"], ids=["own", "aio"])
def test_a_server_that_comes_back_is_asked_again_until_the_time_is_over(run, kind):
    port = free_port()
    target = kind.format(f"127.0.0.1:{port}")
    asked = threading.Event()
    revived: list[AnsweringServer] = []

    def respond(request, context):
        asked.set()
        return answer()

    def outage():
        asked.wait(60)
        first.__exit__()
        time.sleep(0.7)
        revived.append(AnsweringServer(at_once, port=port).__enter__())

    with AnsweringServer(respond, port=port) as first:
        breaking = threading.Thread(target=outage)
        breaking.start()
        result = run(open_plan(target, 50, 2, retry=True))
        breaking.join()
    revived[0].__exit__()
    assert result.failed == 0, result.errors
    assert result.retried > 0
    assert result.latency.at(100) > 0.4, "the outage is in the latencies"


def test_without_retries_an_outage_is_counted(run):
    asked = threading.Semaphore(0)

    def respond(request, context):
        asked.release()
        return answer()

    def ending():
        for _ in range(30):
            asked.acquire()
        server.__exit__()

    with AnsweringServer(respond) as server:
        threading.Thread(target=ending).start()
        result = run(open_plan(server.address, 100, 1.5))
    assert 20 < result.failed < result.requests
    assert {error.code for error in result.errors} == {"UNAVAILABLE"}
