"""The policy is a pure function: a table of what it says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelport_serving.core.servable_state import ServableId
from modelport_serving.core.version_policy import Load, Phase, Snapshot, Unload, next_action

NEW, LOADING, READY, UNLOADING, ENDED = Phase


def version(number: int, phase: Phase, aspired: bool = True) -> Snapshot:
    return Snapshot(ServableId("m", number), phase, aspired)


OLD = False  # not aspired any more


@pytest.mark.parametrize(
    ("snapshots", "expected"),
    [
        ([], None),
        ([version(1, NEW)], Load(ServableId("m", 1))),
        ([version(1, NEW), version(2, NEW)], Load(ServableId("m", 2))),
        ([version(1, READY)], None),
        ([version(1, READY, OLD), version(2, NEW)], Load(ServableId("m", 2))),
        ([version(1, READY, OLD), version(2, LOADING)], None),
        ([version(1, READY, OLD), version(2, READY)], Unload(ServableId("m", 1))),
        ([version(1, READY, OLD), version(2, ENDED)], None),  # the new one failed: the old one keeps serving
        ([version(1, READY, OLD)], Unload(ServableId("m", 1))),  # nothing is aspired
        ([version(1, READY, OLD), version(2, READY, OLD), version(3, LOADING)], Unload(ServableId("m", 1))),
        ([version(1, UNLOADING, OLD), version(2, READY)], None),
        ([version(1, READY), version(2, READY, OLD)], Unload(ServableId("m", 2))),  # rolled back
        ([version(1, NEW), version(2, READY, OLD)], Load(ServableId("m", 1))),
    ],
)
def test_the_next_action(snapshots, expected):
    assert next_action(snapshots) == expected
    assert next_action(reversed(snapshots)) == expected


@given(st.lists(st.tuples(st.integers(1, 9), st.sampled_from(list(Phase)), st.booleans()), unique_by=lambda v: v[0]))
def test_the_last_one_that_answers_is_never_unloaded_while_another_is_wanted(versions):
    snapshots = [version(*entry) for entry in versions]
    action = next_action(snapshots)
    ready = [snapshot for snapshot in snapshots if snapshot.phase is READY]
    wanted = any(snapshot.aspired for snapshot in snapshots)
    if isinstance(action, Unload) and wanted:
        assert len(ready) > 1
