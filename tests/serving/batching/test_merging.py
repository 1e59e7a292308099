"""Requests put into one run and taken apart again: pure functions, with a model that counts its runs."""

import numpy as np
import pytest

from modelport.errors import FailedPrecondition, Internal, InvalidArgument
from modelport_serving.batching.merging import checked_row_count, likeness, row_count, run_alone, run_together
from modelport_serving.batching.parameters import UNASKED
from modelport_serving.servables.batch_limits import BatchLimits


class Doubler:
    """y = 2 x; refuses rows that hold 13, and remembers the rows of each run."""

    def __init__(self):
        self.runs = []

    def __call__(self, feeds):
        x = feeds["x"]
        self.runs.append(len(x))
        if (x == 13).any():
            raise InvalidArgument("13 is not served")
        return [x * 2]


def request(*values, dtype=np.float32):
    return {"x": np.array(values, dtype)}


def answers(outcomes):
    return [o[0].tolist() if isinstance(o, list) else type(o) for o in outcomes]


LIMITS = BatchLimits(max_rows=8, max_run_rows=8)


def test_one_run_for_all():
    model = Doubler()
    assert answers(run_together(model, [request(1, 2), request(3)], UNASKED)) == [[2, 4], [6]]
    assert answers(run_together(model, [request(1), request(2, 3)], LIMITS)) == [[2], [4, 6]]
    assert model.runs == [3, 3]


@pytest.mark.parametrize("limits", ["asked", "unasked"])
def test_a_bad_request_fails_alone(limits):
    chosen = LIMITS if limits == "asked" else UNASKED
    assert answers(run_together(Doubler(), [request(1), request(13), request(2)], chosen)) == [
        [2],
        InvalidArgument,
        [4],
    ]


def test_a_request_alone_is_run_as_it_is():
    assert answers([run_alone(Doubler(), request(1, 2)), run_alone(Doubler(), request(13))]) == [
        [2, 4],
        InvalidArgument,
    ]


@pytest.mark.parametrize(
    ("output", "words"),
    [(np.array(1.0), "has 0 dimensions"), (np.zeros(5), "does not equal the sum of the 0th")],
)
def test_a_batched_model_must_keep_rows(output, words):
    (outcome,) = run_together(lambda feeds: [output], [request(1, 2)], LIMITS)
    assert isinstance(outcome, FailedPrecondition)
    assert words in outcome.message


@pytest.mark.parametrize(("rows", "run"), [(1, 4), (4, 4), (5, 8), (8, 8), (0, 0)])
def test_padding_to_an_allowed_size(rows, run):
    model = Doubler()
    limits = BatchLimits(max_rows=8, max_run_rows=8, sizes=(4, 8))
    (outcome,) = run_together(model, [request(*range(rows))], limits)
    assert outcome[0].tolist() == [2 * value for value in range(rows)]
    assert model.runs == [run]


def test_large_requests_are_split():
    model = Doubler()
    limits = BatchLimits(max_rows=10, max_run_rows=4, splits=True)
    (outcome,) = run_together(model, [request(*range(10))], limits)
    assert outcome[0].tolist() == [2 * value for value in range(10)]
    assert model.runs == [4, 4, 2]


def test_inner_shapes_are_made_equal_with_the_first_element():
    seen = []

    def run(feeds):
        seen.append(feeds["x"].tolist())
        return [feeds["x"].sum(axis=1)]

    limits = BatchLimits(max_rows=8, max_run_rows=8, pad=True)
    short, long = {"x": np.array([[5, 6]])}, {"x": np.array([[1, 2, 3]])}
    assert likeness(short, padded=True) == likeness(long, padded=True)
    assert likeness(short, padded=False) != likeness(long, padded=False)
    run_together(run, [short, long], limits)
    assert seen == [[[5, 6, 5], [1, 2, 3]]]


@pytest.mark.parametrize(
    ("feeds", "words"),
    [
        ({}, "must have at least one input tensor"),
        ({"x": np.float32(1)}, "at least one dimension"),
        ({"x": np.zeros(2), "y": np.zeros(3)}, "equal 0th-dimension size"),
        ({"x": np.zeros(9)}, "Task size 9 is larger than maximum input batch size 8"),
    ],
)
def test_what_cannot_be_batched(feeds, words):
    feeds = {name: np.asarray(array) for name, array in feeds.items()}
    with pytest.raises(InvalidArgument, match=words):
        checked_row_count(feeds, LIMITS)


def test_rows():
    assert row_count({"x": np.zeros((3, 2)), "y": np.zeros(3)}) == 3
    assert row_count({"x": np.zeros((3, 2)), "y": np.zeros(2)}) is None
    assert row_count({"x": np.zeros(())}) is None
    assert row_count({}) is None


@pytest.mark.parametrize("error", [ValueError("no"), UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), MemoryError()])
def test_whatever_a_run_raises_is_its_own_requests(error):
    def run(feeds):
        if (feeds["x"] == 13).any():
            raise error
        return [feeds["x"]]

    outcomes = run_together(run, [request(1), request(13), request(2)], LIMITS)
    assert answers(outcomes) == [[1], Internal, [2]]


def test_an_output_that_does_not_follow_the_rows_is_never_cut():
    """Class names of open length, beside answers for each row: three names, and by chance as many rows."""

    def run(feeds):
        return [feeds["x"], np.array([b"cat", b"dog", b"cow"], object)]

    for rows in ([1, 1], [2, 2], [1, 3]):
        outcomes = run_together(run, [request(*range(count)) for count in rows], UNASKED)
        assert all(isinstance(outcome, FailedPrecondition) or len(outcome[1]) == 3 for outcome in outcomes)
