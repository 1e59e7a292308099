"""The board on which the states of versions are published."""

from modelport.errors import Code
from modelport_serving.core.servable_state import ServableId, State, StateBoard, VersionStatus

M1, M9, OTHER = ServableId("m", 1), ServableId("m", 9), ServableId("other", 1)


def test_the_latest_status_of_each_version_highest_first():
    board = StateBoard()
    for servable in (M1, M9, OTHER):
        board.post(servable, VersionStatus(State.START))
    board.post(M1, VersionStatus(State.END, Code.DATA_LOSS, "no graph"))
    assert list(board.versions("m").items()) == [
        (9, VersionStatus(State.START)),
        (1, VersionStatus(State.END, Code.DATA_LOSS, "no graph")),
    ]
    assert board.status(M9) == VersionStatus(State.START)
    assert {servable for servable, _ in board.entries()} == {M1, M9, OTHER}


def test_who_was_never_managed_has_no_status():
    board = StateBoard()
    board.post(M1, VersionStatus(State.START))
    assert board.status(M9) is None
    assert board.versions("nobody") == {}


def test_who_listens_is_told_after_it_is_true_and_cannot_stop_it():
    board = StateBoard()
    seen = []

    def fail(*_):
        raise RuntimeError("no")

    board.subscribe(fail)
    board.subscribe(lambda servable, status: seen.append((servable, status, board.status(servable))))
    board.post(M1, VersionStatus(State.AVAILABLE))
    assert seen == [(M1, VersionStatus(State.AVAILABLE), VersionStatus(State.AVAILABLE))]


def test_names_in_errors_and_numbers_are_the_apis():
    assert str(M1) == "{name: m version: 1}"
    assert [int(state) for state in State] == [10, 20, 30, 40, 50]
