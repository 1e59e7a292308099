import keras
import numpy as np
import pytest

from modelport.errors import FailedPrecondition, InvalidArgument
from modelport_export import parity
from modelport_export.gate import Gate, check, compare_metrics

SCORES = np.array([[0.1, 0.9], [0.5, 0.5000001]], np.float32)
ANSWER = {"probabilities": SCORES, "class_id": np.array([1, 1]), "label": np.array([b"b", b"b"], object)}


def test_equal_answers_have_no_error():
    assert parity.compare("s", ANSWER, ANSWER, 1e-5) == {"probabilities": 0, "class_id": 0, "label": 0}


def test_rounding_is_allowed_in_proportion_to_the_largest_value():
    large = np.array([[1e4, 0.0]], np.float32)
    assert parity.compare("s", {"y": large}, {"y": large + 0.05}, 1e-5)["y"] == pytest.approx(0.05, rel=0.1)
    with pytest.raises(FailedPrecondition, match=r"'y' to differ.*0\.1 at most.*0\.5 for sample 0"):
        parity.compare("s", {"y": large}, {"y": large + 0.5}, 1e-5)


def test_the_class_of_a_tie_may_differ_and_of_a_clear_case_not():
    tie = {**ANSWER, "class_id": np.array([1, 0]), "label": np.array([b"b", b"a"], object)}
    parity.compare("s", ANSWER, tie, 1e-5)
    with pytest.raises(FailedPrecondition, match=r"'class_id' to be .*1.* for sample 0"):
        parity.compare("s", ANSWER, {**ANSWER, "class_id": np.array([0, 1])}, 1e-5)


@pytest.mark.parametrize(
    ("received", "text"),
    [
        ({"y": np.ones((2, 3), np.float32)}, r"shape \(2, 2\)"),
        ({"y": np.ones((2, 2), np.int64)}, "int64"),
        ({"z": np.ones((2, 2), np.float32)}, r"outputs \['y'\]"),
        ({"y": np.full((2, 2), np.nan, np.float32)}, "differ"),
    ],
)
def test_other_answers_are_refused(received, text):
    with pytest.raises(FailedPrecondition, match=text):
        parity.compare("s", {"y": np.ones((2, 2), np.float32)}, received, 1e-5)


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


def test_metrics_are_compared_by_what_is_better():
    table = compare_metrics({"accuracy": 0.9, "val_loss": 0.3, "new": 1.0}, {"accuracy": 0.95, "val_loss": 0.2})
    assert {name: round(row["regression"], 6) for name, row in table.items()} == {"accuracy": 0.05, "val_loss": 0.1}


PROOF = {
    "metrics": {"accuracy": {"value": 0.9, "parent": 0.95, "regression": 0.05}},
    "latency_ms": {"p50": 1.0, "p99": 2.0, "calls": 50},
    "resident_mib": 300.0,
}


@pytest.mark.parametrize(
    ("gate", "text"),
    [
        (Gate(max_regression=0.01), "'accuracy' to be at most 0.01 worse"),
        (Gate(max_p99_ms=1.5), "p99 latency of 1.5 ms.*2 ms"),
        (Gate(max_resident_mib=100), "100 MiB.*300"),
    ],
)
def test_a_figure_out_of_bounds_closes_the_gate(gate, text):
    with pytest.raises(FailedPrecondition, match=text):
        check(gate, PROOF)


def test_figures_within_bounds_pass():
    check(Gate(), PROOF)
    check(Gate(max_regression=0.05, max_p99_ms=2.0, max_resident_mib=300), PROOF)


def test_senseless_bounds_are_refused():
    for bound in (-1.0, float("nan"), float("inf")):
        with pytest.raises(InvalidArgument, match="max_regression"):
            Gate(max_regression=bound)
