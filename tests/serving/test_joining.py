"""Requests put into one run and taken apart again: pure functions, with a model that counts its runs."""

import numpy as np
import pytest

from modelport.errors import FailedPrecondition, InvalidArgument
from modelport.serverconfig import BatchingParameters
from modelport_serving.batching import Limits, limits_of, thread_count
from modelport_serving.joining import (
    Trust,
    checked_row_count,
    likeness,
    row_count,
    run_batched,
    run_joined,
)


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


LIMITS = Limits(max_rows=8, max_run_rows=8)


def test_one_run_for_all():
    model = Doubler()
    assert answers(run_joined(model, [request(1, 2), request(3)])) == [[2, 4], [6]]
    assert answers(run_batched(model, [request(1), request(2, 3)], LIMITS)) == [[2], [4, 6]]
    assert model.runs == [3, 3]


@pytest.mark.parametrize("run", [run_joined, lambda model, requests: run_batched(model, requests, LIMITS)])
def test_a_bad_request_fails_alone(run):
    assert answers(run(Doubler(), [request(1), request(13), request(2)])) == [[2], InvalidArgument, [4]]


def test_outputs_that_cannot_be_taken_apart_are_run_one_by_one():
    runs = []

    def total(feeds):
        runs.append(len(feeds["x"]))
        return [feeds["x"].sum()]

    outcomes = run_joined(total, [request(1, 2), request(3)])
    assert [outcome[0] for outcome in outcomes] == [3, 3]
    assert runs == [3, 2, 1]


@pytest.mark.parametrize(
    ("output", "words"),
    [(np.float32(1), "has 0 dimensions"), (np.zeros(5), "does not equal the sum of the 0th"), (b"text", "has 0 dim")],
)
def test_a_batched_model_must_keep_rows(output, words):
    (outcome,) = run_batched(lambda feeds: [output], [request(1, 2)], LIMITS)
    assert isinstance(outcome, FailedPrecondition)
    assert words in outcome.message


@pytest.mark.parametrize(("rows", "run"), [(1, 4), (4, 4), (5, 8), (8, 8), (0, 0)])
def test_padding_to_an_allowed_size(rows, run):
    model = Doubler()
    limits = Limits(max_rows=8, max_run_rows=8, sizes=(4, 8))
    (outcome,) = run_batched(model, [request(*range(rows))], limits)
    assert outcome[0].tolist() == [2 * value for value in range(rows)]
    assert model.runs == [run]


def test_large_requests_are_split():
    model = Doubler()
    limits = Limits(max_rows=10, max_run_rows=4, splits=True)
    (outcome,) = run_batched(model, [request(*range(10))], limits)
    assert outcome[0].tolist() == [2 * value for value in range(10)]
    assert model.runs == [4, 4, 2]


def test_inner_shapes_are_made_equal_with_the_first_element():
    seen = []

    def run(feeds):
        seen.append(feeds["x"].tolist())
        return [feeds["x"].sum(axis=1)]

    limits = Limits(max_rows=8, max_run_rows=8, pad=True)
    short, long = {"x": np.array([[5, 6]])}, {"x": np.array([[1, 2, 3]])}
    assert likeness(short, padded=True) == likeness(long, padded=True)
    assert likeness(short, padded=False) != likeness(long, padded=False)
    run_batched(run, [short, long], limits)
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


def centred(feeds):
    """A model whose rows influence one another."""
    return [feeds["x"] - feeds["x"].mean()]


def test_a_model_that_mixes_rows_is_found_out_and_its_answers_are_right():
    trust = Trust(joins=True)
    requests = [request(1), request(5)]
    outcomes = trust.check(centred, requests, run_joined(centred, requests))
    assert answers(outcomes) == [[0], [0]]
    assert not trust.joins


def test_a_model_that_mixes_rows_is_found_out_by_requests_that_are_all_alike():
    trust = Trust(joins=True)
    alike = [request(7), request(7)]
    assert answers(trust.check(centred, alike, run_joined(centred, alike))) == [[0], [0]]
    assert not trust.joins


def test_a_trusted_model_is_run_once():
    trust = Trust(joins=True)
    model = Doubler()
    for _ in range(6):
        requests = [request(1), request(2)]
        trust.check(model, requests, run_joined(model, requests))
    assert model.runs == [2, 1, 1, 2, 2] * 3 + [2] * 3


@pytest.mark.parametrize("model", [centred, lambda feeds: [feeds["x"] / feeds["x"].max()]], ids=["mean", "largest"])
def test_what_alike_requests_hide_is_found_out(model):
    trust = Trust(joins=True)
    trust.check(model, [request(7), request(7)], run_joined(model, [request(7), request(7)]))
    assert not trust.joins


def test_a_model_that_pads_to_its_longest_text_is_found_out():
    def lengths(feeds):
        longest = max(len(text) for text in feeds["x"].tolist())
        return [np.full(len(feeds["x"]), longest)]

    trust = Trust(joins=True)
    texts = [{"x": np.array([b"ab"], object)}, {"x": np.array([b"cd"], object)}]
    trust.check(lengths, texts, run_joined(lengths, texts))
    assert not trust.joins


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (
            {"max_batch_size": 8, "allowed_batch_sizes": (2, 4)},
            "Last entry in allowed_batch_sizes must match max_batch_size; last entry was 4; expected 8",
        ),
        ({"max_batch_size": 0}, "input_batch_size_limit must be positive; was 0"),
        ({"batch_timeout_micros": -1}, "batch_timeout_micros must be non-negative; was -1"),
        ({"max_enqueued_batches": 0}, "max_enqueued_batches must be positive; was 0"),
        (
            {"max_batch_size": 4, "enable_large_batch_splitting": True, "max_execution_batch_size": 8},
            "must be greater than or equal to max_execution_batch_size",
        ),
    ],
)
def test_parameters_that_make_no_sense(fields, words):
    with pytest.raises(InvalidArgument, match=words):
        limits_of(BatchingParameters(**fields))


def test_the_defaults_are_the_real_servers():
    limits = limits_of(BatchingParameters())
    assert (limits.max_rows, limits.max_run_rows, limits.timeout_s, limits.max_batches) == (1000, 1000, 0, 10)
    assert thread_count(BatchingParameters(num_batch_threads=3)) == 3
    with pytest.raises(InvalidArgument, match="num_batch_threads must be positive; was 0"):
        thread_count(BatchingParameters(num_batch_threads=0))


def test_a_client_alone_is_not_held_up():
    trust = Trust(joins=True)
    waits = []
    for _ in range(600):
        waits.append(trust.patience_s())
        trust.gathered(1)
    assert sum(wait > 0 for wait in waits) <= 3  # a look for company once in 256 runs
    assert max(waits) < 0.001


def test_company_is_waited_for_until_it_leaves():
    trust = Trust(joins=True)
    trust.gathered(3)
    assert trust.patience_s() > 0
    for _ in range(16):
        trust.gathered(1)
    trust.patience_s()  # may be a look
    assert trust.patience_s() == 0


def test_runs_that_take_long_are_not_waited_with():
    trust = Trust(joins=True)
    for _ in range(50):
        trust.took(1.0)
    trust.gathered(3)
    assert trust.patience_s() == 0
