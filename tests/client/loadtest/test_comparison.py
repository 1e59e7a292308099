"""Two servers in turns."""

import numpy as np
import pytest

from modelport_client.loadtest.comparison import in_turns
from tests.client.loadtest.conftest import closed_plan
from tests.support.answering_server import after


@pytest.mark.slow
def test_a_known_ratio_is_found(answering, run):
    """Twenty milliseconds against five, in closed loops: a quarter of the answers, four times the time."""
    slow, quick = answering(after(0.02), workers=4), answering(after(0.005), workers=4)
    order = []

    def side(name, server):
        def go():
            order.append(name)
            return run(closed_plan(server.address, 2, 0.5))

        return go

    comparison = in_turns(("quick", "slow"), (side("A", quick), side("B", slow)), 4, lambda: False)
    assert order == list("ABBAABBA")
    ratios = {one.name: one for one in comparison.ratios}
    assert 0.15 < ratios["answers a second"].ratio.mean < 0.5
    assert ratios["answers a second"].verdict == "B is lower"
    assert 2 < ratios["p50 ms"].ratio.mean < 6
    assert ratios["p50 ms"].verdict == "B is higher"
    assert ratios["p50 ms"].ratio.low < ratios["p50 ms"].ratio.mean < ratios["p50 ms"].ratio.high
    assert comparison.failed == (0, 0)
    assert comparison.to_json()["ratios"]["p50 ms"]["verdict"] == "B is higher"


def test_pairs_in_which_the_generator_was_late_do_not_count(answering, run):
    from dataclasses import replace

    server = answering(after(0.005), workers=4)
    good = run(closed_plan(server.address, 2, 0.3))
    late = replace(good, bottleneck="it was late")
    given = iter([good, good, late, good])
    comparison = in_turns(("a", "b"), (lambda: next(given),) * 2, 2, lambda: False)
    assert len(comparison.pairs) == 1
    assert comparison.dropped == ["pair 2, B: it was late"]
    assert all(one.verdict == "one pair says nothing" for one in comparison.ratios)


def test_equal_servers_differ_by_nothing_that_can_be_shown():
    from modelport_client.loadtest.comparison import Ratio
    from modelport_client.loadtest.intervals import geometric

    random = np.random.default_rng(1)
    assert Ratio("p50 ms", 1, 1, geometric(list(random.lognormal(0, 0.05, 8)))).verdict == "no difference shown"
