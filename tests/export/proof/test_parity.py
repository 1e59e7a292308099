import keras
import numpy as np
import pytest

from modelport.errors import FailedPrecondition
from modelport_export.proof import parity

LABELS = ["a", "b"]
SCORES = np.array([[0.1, 0.9], [0.5, 0.5000001]], np.float32)
ANSWER = {"probabilities": SCORES, "class_id": np.array([1, 1]), "label": np.array([b"b", b"b"], object)}


def test_equal_answers_have_no_error():
    found = parity.differences(ANSWER, ANSWER, 1e-5, labels=LABELS)
    assert found == {
        "probabilities": 0,
        "class_id": 0,
        "label": 0,
    }


def test_rounding_is_allowed_in_proportion_to_the_largest_value():
    large = np.array([[1e4], [0.0]], np.float32)
    assert parity.differences({"y": large}, {"y": large + 0.05}, 1e-5)["y"] == pytest.approx(0.05, rel=0.1)
    with pytest.raises(parity.Different, match=r"'y' to differ.*0\.1 at most.*0\.5 for sample 0"):
        parity.differences({"y": large}, {"y": large + 0.5}, 1e-5)


def test_the_class_of_a_tie_may_differ_and_of_a_clear_case_not():
    tie = {**ANSWER, "class_id": np.array([1, 0]), "label": np.array([b"b", b"a"], object)}
    parity.differences(ANSWER, tie, 1e-5, labels=LABELS)
    with pytest.raises(parity.Different, match=r"'class_id' to be .*1.* for sample 0"):
        parity.differences(ANSWER, {**ANSWER, "class_id": np.array([0, 1])}, 1e-5, labels=LABELS)


@pytest.mark.parametrize(
    ("received", "text"),
    [
        ({"y": np.ones((2, 3), np.float32)}, r"shape \(2, 2\)"),
        ({"y": np.ones((2, 2), np.int64)}, "int64"),
        ({"z": np.ones((2, 2), np.float32)}, r"outputs \['y'\]"),
        ({"y": np.full((2, 2), np.nan, np.float32)}, "NaN or infinite in the same places"),
    ],
)
def test_other_answers_are_refused(received, text):
    with pytest.raises(parity.Different, match=text):
        parity.differences({"y": np.ones((2, 2), np.float32)}, received, 1e-5)


def test_a_tie_is_none_where_nobody_says_what_the_scores_are():
    """The names alone say nothing: they may be anything of a foreign model's."""
    tie = {**ANSWER, "class_id": np.array([1, 0])}
    with pytest.raises(parity.Different, match="'class_id'"):
        parity.differences(ANSWER, tie, 1e-5)


def test_small_values_are_compared_as_small_ones():
    """Against zeros, a row of 1,000 probabilities passed, and so did a small value beside a large one."""
    probabilities = np.full((1, 1000), 0.001, np.float32)
    for want, have, tolerance in (
        (probabilities, probabilities * 0, 0.0625),
        (np.float32([[9e-4]]), np.float32([[8e-4]]), 1e-5),
        (np.float32([[1e6, 1]]), np.float32([[1e6, 9]]), 1e-5),
    ):
        with pytest.raises(parity.Different):
            parity.differences({"y": want}, {"y": have}, tolerance)
    near_zero, scales = np.float32([[1e-7]]), {"y": np.float64([3])}
    parity.differences({"y": near_zero}, {"y": near_zero * 100}, 1e-5, scales=scales)


def test_a_tie_is_between_the_best_and_its_label_goes_with_it():
    scores = np.float32([[0.5, 0.5, 0]])
    tie = {"probabilities": scores, "class_id": np.array([0]), "label": np.array([b"a"], object)}
    names = ["a", "b", "c"]
    parity.differences(tie, {**tie, "class_id": np.array([1]), "label": np.array([b"b"], object)}, 1e-5, labels=names)
    for number, label in ((2, b"c"), (1, b"a"), (7, b"a"), (-1, b"c")):
        other = {**tie, "class_id": np.array([number]), "label": np.array([label], object)}
        with pytest.raises(parity.Different):
            parity.differences(tie, other, 1e-5, labels=names)


def test_infinity_on_purpose_is_compared_by_its_place():
    masked = {"y": np.float32([1, -np.inf, np.nan])}
    assert parity.differences(masked, masked, 1e-5) == {"y": 0}
    for other in ([1, np.inf, np.nan], [1, -np.inf, 3], [-np.inf, 1, np.nan]):
        with pytest.raises(parity.Different, match="NaN or infinite in the same places"):
            parity.differences(masked, {"y": np.float32(other)}, 1e-5)
    parity.refuse_non_finite("s", masked, None, allowed=["y"])
    with pytest.raises(FailedPrecondition, match="--allow-non-finite y"):
        parity.refuse_non_finite("s", masked, None)


def test_scalars_are_compared():
    text = {"v": np.array(b"v1", object), "n": np.array(3)}
    assert parity.differences(text, text, 1e-5) == {"v": 0, "n": 0}
    with pytest.raises(parity.Different, match="'v' to be b'v1'"):
        parity.differences(text, {**text, "v": np.array(b"v2", object)}, 1e-5)


def test_half_precision_is_given_more_room():
    keras.utils.set_random_seed(0)
    plain = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    mixed = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, dtype="mixed_bfloat16")])
    assert parity.tolerance_of(plain, ["float32"]) == parity.tolerance_of(None, ["float32"]) == parity.TOLERANCE
    assert parity.tolerance_of(mixed, ["float32"]) == 8 * 2**-7


def test_nan_is_refused_and_the_weight_named():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="last")])
    model.layers[0].kernel.assign([[np.nan], [1.0]])
    with pytest.raises(FailedPrecondition, match=r"'y'.*NaN or infinity for 1 of 2.*last/kernel"):
        parity.refuse_non_finite("s", {"y": np.array([np.nan, 1.0], np.float32)}, model)
