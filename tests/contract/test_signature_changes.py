"""What breaks a client: names, dtypes and shapes of signatures."""

import re

import pytest

from modelport.signature_changes import additions, breaking


def signature(inputs, outputs):
    def specs(given):
        return {alias: {"dtype": dtype, "shape": shape} for alias, (dtype, shape) in given.items()}

    return {"serving_default": {"inputs": specs(inputs), "outputs": specs(outputs)}}


X, Y = {"x": ("float32", [-1, 3])}, {"y": ("float32", [-1, 1])}
OLD = signature(X, Y)


@pytest.mark.parametrize(
    ("new", "told"),
    [
        ({}, "signature 'serving_default' is gone"),
        (signature({"z": ("float32", [-1, 3])}, Y), "no input 'x' any more"),
        (signature({**X, "z": ("float32", [-1, 3])}, Y), "wants the input 'z', which nobody sends"),
        (signature({"x": ("int32", [-1, 3])}, Y), "input 'x' of 'serving_default' was float32 and is int32"),
        (signature({"x": ("float32", [-1, 4])}, Y), r"had the shape \[\?, 3\] and has \[\?, 4\]"),
        (signature({"x": ("float32", [8, 3])}, Y), r"\[8, 3\]"),
        (signature(X, {"z": ("float32", [-1, 1])}), "no output 'y' any more"),
        (signature(X, {"y": ("float64", [-1, 1])}), "output 'y' of 'serving_default' was float32 and is float64"),
        (signature(X, {"y": ("float32", [-1, 2])}), r"\[\?, 2\]"),
        (signature(X, {"y": ("float32", [-1, -1])}), r"\[\?, \?\]"),
        (signature(X, {"y": ("float32", None)}), "of any rank"),
    ],
)
def test_what_breaks_clients(new, told):
    found = breaking(OLD, new)
    assert found
    assert re.search(told, " ".join(found)), found


@pytest.mark.parametrize(
    "new",
    [
        OLD,
        {**OLD, "more": OLD["serving_default"]},
        signature(X, {**Y, "z": ("int64", [-1])}),
        signature({"x": ("float32", [-1, -1])}, Y),
        signature({"x": ("float32", None)}, Y),
        signature(X, {"y": ("float32", [8, 1])}),
    ],
)
def test_what_breaks_nobody(new):
    assert breaking(OLD, new) == []


def test_what_is_new():
    new = {**signature(X, {**Y, "z": ("int64", [-1])}), "more": OLD["serving_default"]}
    assert additions(OLD, new) == ["'serving_default' has the output 'z' too", "the signature 'more' is new"]
