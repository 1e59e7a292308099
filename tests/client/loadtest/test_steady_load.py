"""The steady load: its rate, its count, and honest latencies."""

import time

import numpy as np
import pytest

from modelport.errors import InvalidArgument
from modelport_client import Client
from modelport_client.loadtest import SteadyLoad, answered_by, percentile
from tests.support.waiting import eventually


def test_every_request_is_counted(server):
    begin = time.monotonic()
    with (
        Client(server.grpc_address) as client,
        SteadyLoad(lambda: client.predict("affine", {"x": np.zeros(1, np.float32)}), rate=100) as load,
    ):
        eventually(lambda: len(load.outcomes) >= 60)
    outcomes = load.outcomes
    assert 60 <= len(outcomes) <= 1 + 100 * (time.monotonic() - begin), "none is sent before it is due"
    assert answered_by(outcomes) == {1: len(outcomes)}
    assert [o.due for o in outcomes] == sorted(o.due for o in outcomes)
    assert percentile(outcomes, 0.5) <= percentile(outcomes, 0.99)


def test_failures_are_counted(server):
    with (
        Client(server.grpc_address) as client,
        SteadyLoad(lambda: client.predict("nobody", {"x": np.zeros(1, np.float32)}), rate=50, threads=2) as load,
    ):
        time.sleep(0.5)
    assert load.outcomes
    assert all(outcome.error is not None for outcome in load.outcomes)
    assert answered_by(load.outcomes) == {}
    assert percentile(load.outcomes, 0.5) is None


def test_a_stall_counts_for_the_requests_that_it_held_back(server):
    """One thread, 20 requests a second, each taking 0.2 s: latencies grow with the queue."""
    with (
        Client(server.grpc_address) as client,
        SteadyLoad(lambda: client.predict("slow", {"seconds": np.float32(0.2)}), rate=20, threads=1) as load,
    ):
        time.sleep(1.5)
    latencies = [outcome.latency_s for outcome in load.outcomes]
    assert latencies[-1] > 2 * latencies[0]


@pytest.mark.parametrize(("rate", "threads"), [(0, 1), (-1, 1), (1, 0)])
def test_loads_that_make_no_sense(rate, threads):
    with pytest.raises(InvalidArgument, match="a rate above 0"):
        SteadyLoad(lambda: None, rate, threads)
