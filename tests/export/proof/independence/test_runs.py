"""What runs contradict, asked of functions that answer as a server would."""

import numpy as np
import pytest

from modelport.errors import DeadlineExceeded, InvalidArgument
from modelport_export.proof.independence import runs
from modelport_export.proof.independence.companies import MANY, companies, pick, row_limit

SAMPLES = {"x": np.random.default_rng(1).standard_normal((16, 3)).astype(np.float32)}
INDEPENDENT = {"y": lambda x: x / 2, "best": lambda x: x.argmax(axis=-1)}


def ask(**outputs):
    def answer(inputs):
        return {alias: np.asarray(function(inputs["x"])) for alias, function in outputs.items()}

    return answer


def mean_of_many(x):
    return x - x.mean(axis=0) if len(x) > 10 else x


def poisoned(x):
    """Neighbours count only when they are not finite."""
    return x + 0 * x.sum()


@pytest.mark.parametrize(
    ("outputs", "text"),
    [
        ({"y": lambda x: x - x.mean(axis=0)}, "two samples to be answered as alone: 'y' to differ by"),
        ({"y": mean_of_many}, "65 samples to be answered as alone"),
        ({"y": poisoned}, "samples among rows of nan to be answered as alone"),
        ({"y": lambda x: x + (len(x) == 3)}, "three samples"),
        ({"y": lambda x: x[::-1].copy()}, "two samples"),
        ({"y": lambda x: x, "names": lambda x: np.array([b"cat", b"dog"], object)}, "output 'names' to have 1 rows"),
        ({"y": lambda x: x, "names": lambda x: np.array([b"cat"], object)}, "output 'names' to have 2 rows"),
        ({"y": lambda x: x, "first": lambda x: np.arange(len(x))}, "'first'"),
        ({"y": lambda x: x + np.random.rand()}, "answered alike each time"),
        ({"y": lambda x: x.sum()}, "output 'y' to have 1 rows"),
    ],
)
def test_what_follows_from_other_rows_is_caught(outputs, text):
    verdict = runs.run(ask(**outputs), SAMPLES, 1e-5)
    assert not verdict.independent
    assert text in verdict.reason


def test_independent_rows_are_told_with_what_was_tried():
    verdict = runs.run(ask(**INDEPENDENT), SAMPLES, 1e-5)
    assert verdict.independent
    assert verdict.reason == f"{9 + len(list(companies(pick(SAMPLES, MANY), MANY)))} requests of 1 to 65 rows"


def test_one_sample_is_enough_to_find_what_mixes():
    one = {"x": SAMPLES["x"][:1]}
    assert runs.run(ask(**INDEPENDENT), one, 1e-5).independent
    assert not runs.run(ask(y=lambda x: x - x.max()), one, 1e-5).independent


def test_strings_and_integers_have_companies_too():
    words = {"x": np.array([b"red", b"blue", b"green"], object)}
    longest = ask(y=lambda x: np.full(len(x), max(map(len, x.tolist()))))
    assert not runs.run(longest, words, 1e-5).independent
    assert runs.run(ask(y=lambda x: np.array([w.upper() for w in x.tolist()], object)), words, 1e-5).independent
    numbers = {"x": np.arange(6).reshape(3, 2)}
    assert not runs.run(ask(y=lambda x: x - x.min()), numbers, 1e-5).independent
    assert runs.run(ask(y=lambda x: x + 1), numbers, 1e-5).independent


def test_errors_of_neighbours_count_for_nothing_and_errors_of_all_for_everything():
    def refuses(bad):
        def answer(inputs):
            if bad(inputs["x"]):
                raise InvalidArgument("no such row")
            return {"y": inputs["x"]}

        return answer

    verdict = runs.run(refuses(lambda x: not np.isfinite(x).all()), SAMPLES, 1e-5)
    assert verdict.independent
    assert "failed and were left out" in verdict.reason
    verdict = runs.run(refuses(lambda x: len(x) > 1), SAMPLES, 1e-5)
    assert (verdict.independent, verdict.reason) == (False, "every request of several rows fails: no such row")
    verdict = runs.run(refuses(lambda x: True), SAMPLES, 1e-5)
    assert (verdict.independent, verdict.reason) == (False, "it could not be tried: no such row")


def test_a_run_that_hangs_proves_nothing():
    def hangs(inputs):
        if np.isnan(inputs["x"]).any():
            raise DeadlineExceeded("10 s")
        return {"y": inputs["x"]}

    assert runs.run(hangs, SAMPLES, 1e-5).reason == "it could not be tried: 10 s"


def test_slow_rows_make_small_requests():
    """A large model is not asked for 65 rows at once, which nobody would wait for."""
    assert row_limit(SAMPLES, row_s=0.001) == MANY
    assert row_limit(SAMPLES, row_s=0.05) == 5
    assert row_limit(SAMPLES, row_s=60.0) == 3


def test_without_time_nothing_is_proven():
    verdict = runs.run(ask(**INDEPENDENT), SAMPLES, 1e-5, budget_s=0.0)
    assert not verdict.independent
    assert "only 0 of" in verdict.reason


def test_large_rows_make_small_requests_and_the_reason_says_so():
    large = {"x": np.ones((8, 400_000), np.float32)}
    assert row_limit(large) < MANY
    sizes = [
        sum(array.nbytes for array in company.inputs.values())
        for company in companies(pick(large, row_limit(large)), row_limit(large))
    ]
    assert max(sizes) <= 9 * 2**20
    verdict = runs.run(ask(y=lambda x: x[:, :2]), large, 1e-5)
    assert verdict.independent
    assert "because they are large or slow" in verdict.reason
