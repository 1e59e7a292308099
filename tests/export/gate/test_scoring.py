"""How good answers are, by row; and how sure a difference is."""

import re

import numpy as np
import pytest

from modelport_export.gate.asking import Answers
from modelport_export.gate.bootstrap import interval
from modelport_export.gate.quality import evaluate
from modelport_export.gate.scoring import Unscored, score

PROBABILITIES = np.array([[0.9, 0.1], [0.4, 0.6], [0.7, 0.3]], np.float32)


def test_classes():
    found = score("label", np.array([0, 1, 1]), {"y": PROBABILITIES})
    assert found.rows["accuracy"].tolist() == [1, 1, 0]
    np.testing.assert_allclose(found.rows["log_loss"], -np.log([0.9, 0.6, 0.3]), rtol=1e-6)
    assert found.told.tolist() == [0, 1, 0]
    column = score("label", np.array([[0], [1], [1]]), {"y": PROBABILITIES})
    assert column.means == found.means


def test_scores_that_are_no_probabilities_have_no_log_loss():
    found = score("label", np.array([0, 1, 1]), {"y": PROBABILITIES * 3})
    assert set(found.rows) == {"accuracy"}


def test_numbers():
    found = score("label", np.array([1.0, 2.0]), {"y": np.array([[1.5], [2.0]], np.float32)})
    assert (found.judged, found.means) == (
        "mean_absolute_error",
        {"mean_absolute_error": 0.25, "mean_squared_error": 0.125},
    )
    whole = score("label", np.array([1, 2]), {"y": np.array([[1.5], [2.0]], np.float32)})
    assert whole.means == found.means


def test_several_outputs_want_their_names():
    answers = {"a": PROBABILITIES, "b": PROBABILITIES}
    assert score("target_b", np.array([0, 1, 1]), answers).means.keys() == {"b_accuracy", "b_log_loss"}
    for name, told in (("label", "target_a"), ("target_c", "no output")):
        with pytest.raises(Unscored, match=told):
            score(name, np.array([0, 1, 1]), answers)


@pytest.mark.parametrize(
    ("target", "answer", "told"),
    [
        ([0, 1, 2], PROBABILITIES, "2 classes"),
        ([0, 1], PROBABILITIES, "3 answers for 2 rows"),
        ([0.0, 1.0, 2.0], PROBABILITIES, r"shape \(3, 2\)|has the shape"),
        (["a", "b", "c"], PROBABILITIES, "not both numbers"),
    ],
)
def test_what_does_not_fit_is_said(target, answer, told):
    with pytest.raises(Unscored, match=told):
        score("label", np.array(target), {"y": answer})


def test_an_interval_holds_the_mean_as_often_as_it_says():
    rng = np.random.default_rng(1)
    samples = [rng.normal(0.3, 1.0, 200) for _ in range(200)]
    holds = [low <= 0.3 <= high for _, low, high in map(interval, samples)]
    assert 0.90 <= np.mean(holds) <= 0.99, "95 % of the intervals"
    assert interval(samples[0]) == interval(samples[0]), "the same rows, the same verdict"


def judged(new, live, rows):
    answers = Answers(np.arange(rows), [{"y": new}, {"y": live}], ["", ""])
    checks, figures, _ = evaluate(answers, {"label": np.zeros(rows, np.int64)}, 3)
    return checks[0], figures


def classes(right, rows):
    """Scores of which `right` rows say class 0."""
    return np.where(np.arange(rows)[:, None] < right, [[0.8, 0.2]], [[0.2, 0.8]]).astype(np.float32)


@pytest.mark.parametrize(
    ("new", "live", "rows", "outcome", "told"),
    [
        (150, 180, 200, "refused", "worse beyond noise.*0.75.*version 3 0.9.*200 rows"),
        (179, 180, 200, "passed", "as good, as far as the rows tell"),
        (195, 150, 200, "passed", "better by"),
        (5, 10, 10, "reported", "Fewer than 20 rows decide nothing"),
    ],
)
def test_noise_neither_blocks_nor_passes(new, live, rows, outcome, told):
    check, _ = judged(classes(new, rows), classes(live, rows), rows)
    assert check.outcome == outcome
    assert re.search(told, check.sentence), check.sentence


def outcomes(new, live, target, **more):
    answers = Answers(np.arange(len(target)), [{"y": new}, {"y": live}], ["", ""])
    checks, figures, _ = evaluate(answers, {"label": target}, 3, **more)
    return [(check.outcome, check.sentence) for check in checks], figures


def test_the_side_that_is_not_finite_is_named():
    good, bad = np.ones((30, 1)), np.ones((30, 1))
    bad[4] = np.nan
    assert outcomes(bad, good, np.ones(30))[0][0] == (
        "refused",
        "1 of 30 answers to held-out rows are NaN or infinite in 'y'.",
    )
    assert next(one for one, _ in outcomes(bad, good, np.ones(30), non_finite=["y"])[0]) == "passed"
    assert [one for one, _ in outcomes(good, bad, np.ones(30))[0]] == ["passed", "reported"], (
        "the old one is the bad one"
    )
    classes_, broken = classes(20, 30), classes(20, 30)
    broken[:10] = np.nan
    found, figures = outcomes(broken, classes_, np.zeros(30, np.int64))
    assert found[0][0] == "refused"
    assert figures["metrics"]["accuracy"] == pytest.approx(10 / 30), "a row of NaN is no right answer"


def test_a_first_version_that_answers_nan_is_refused():
    answers = Answers(np.arange(30), [{"y": np.full((30, 1), np.inf)}], [""])
    checks, _, _ = evaluate(answers, {"label": np.ones(30)}, None)
    assert checks[0].outcome == "refused"


def test_yes_or_no():
    found = score("label", np.array([1, 0, 1]), {"y": np.array([[0.9], [0.2], [0.4]], np.float32)})
    assert (found.judged, found.rows["accuracy"].tolist()) == ("accuracy", [1, 1, 0])
    np.testing.assert_allclose(found.rows["log_loss"], -np.log([0.9, 0.8, 0.4]), rtol=1e-6)
    with pytest.raises(Unscored, match="whose threshold is not known"):
        score("label", np.array([1, 0, 1]), {"y": np.array([[7.0], [-3.0], [2.0]], np.float32)})


def test_one_hot_targets_are_classes():
    target = np.array([[1, 0], [0, 1], [0, 1]], np.float32)
    assert score("label", target, {"y": PROBABILITIES}).rows["accuracy"].tolist() == [1, 1, 0]


def test_kinds_that_cannot_be_compared():
    softmax, sigmoid = np.tile(np.float32([0.2, 0.8]), (30, 1)), np.full((30, 1), 3.5, np.float32)
    found, _ = outcomes(softmax, sigmoid, np.arange(30) % 2)
    assert ("warning", True) in {(one, "could not be evaluated" in text) for one, text in found}
    found, _ = outcomes(softmax, np.ones((30, 1)), np.full(30, 1))
    assert all(outcome != "refused" for outcome, _ in found)


def test_figures_of_every_class():
    _, figures = judged(classes(15, 20), classes(20, 20), 20)
    found = figures["targets"]["label"]
    assert found["classes"][0]["recall"] == 0.75
    assert found["classes"][0]["live"] == 1.0
    assert found["confusion"] == [[15, 5], [0, 0]]
    assert sum(one["rows"] for one in found["calibration"]) == 20


def test_a_version_that_does_not_answer_is_said():
    answers = Answers(np.arange(30), [{"y": np.ones((30, 1))}, None], ["", "it wants x"])
    checks, _, _ = evaluate(answers, {"label": np.ones(30)}, 7)
    assert (checks[0].outcome, "Version 7 could not be evaluated" in checks[0].sentence) == ("warning", True)
    checks, _, _ = evaluate(Answers(np.arange(30), [None], ["no"]), {"label": np.ones(30)}, None)
    assert checks[0].outcome == "warning"
