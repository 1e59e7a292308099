"""One managed version, and the handle by which a request holds on to it."""

from pathlib import Path

import pytest

from modelport_serving.core.harness import Handle, Harness
from modelport_serving.core.servable_state import ServableId
from modelport_serving.core.version_policy import Phase, Snapshot
from tests.support.tiny_servables import Tiny


@pytest.fixture
def harness() -> Harness:
    return Harness(ServableId("m", 1), Path("1"), attempts_left=1)


def test_a_handle_is_given_back_once(harness):
    given_back = []
    handle = Handle(given_back.append, harness, Tiny(harness.servable_id))
    with handle as servable:
        assert servable.id == ("m", 1)
        assert given_back == []
    handle.release()
    assert given_back == [harness]


def test_a_handle_is_given_back_when_its_request_fails(harness):
    given_back = []
    with pytest.raises(ValueError, match="odd"), Handle(given_back.append, harness, Tiny(harness.servable_id)):
        raise ValueError("odd")
    assert given_back == [harness]


def test_what_the_policy_sees(harness):
    assert harness.snapshot() == Snapshot(ServableId("m", 1), Phase.NEW, aspired=True)
    harness.phase, harness.aspired = Phase.READY, False
    assert harness.snapshot() == Snapshot(ServableId("m", 1), Phase.READY, aspired=False)
