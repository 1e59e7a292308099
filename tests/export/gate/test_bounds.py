"""`modelport.toml`: bounds that a team reviews, and what is no bound."""

import pytest

from modelport.errors import InvalidArgument, NotFound
from modelport_export.gate.bounds import Gate, read

TEXT = """
[gate]
max_p99_ms = 20
min = { accuracy = 0.9 }
allow_ops = ["ReadFile"]
[gate.digits]
min = { accuracy = 0.95, auc = 0.8 }
evaluation_rows = false
[gate.other]
max_p99_ms = 5.5
"""


@pytest.fixture
def file(tmp_path):
    def write(text):
        path = tmp_path / "modelport.toml"
        path.write_text(text, "utf-8")
        return path

    return write


def test_a_model_has_its_own_bounds_over_those_of_all(file):
    path = file(TEXT)
    digits = read(path, "digits")
    assert dict(digits.min) == {"accuracy": 0.95, "auc": 0.8}
    assert (digits.max_p99_ms, digits.evaluation_rows, tuple(digits.allow_ops)) == (20, False, ("ReadFile",))
    assert read(path, "other").max_p99_ms == 5.5
    assert (read(path, "third").max_p99_ms, dict(read(path, "third").min)) == (20, {"accuracy": 0.9})
    assert read(file("[gate]"), "digits") == Gate(allow_ops=()) == read(file(""), "digits")


def test_flags_go_over_the_file(file):
    merged = Gate(max_p99_ms=1.0, min={"auc": 0.5}).over(read(file(TEXT), "digits"))
    assert merged.max_p99_ms == 1.0
    assert dict(merged.min) == {"accuracy": 0.95, "auc": 0.5}
    assert not merged.evaluation_rows


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[gate]\nmax_p99ms = 1", "gate.max_p99ms. Did you mean 'max_p99_ms'"),
        ("[gate.digits]\nmax_regresion = 1", "gate.digits.max_regresion. Did you mean 'max_regression'"),
        ("[gates]\nmax_p99_ms = 1", "gates. Did you mean 'gate'"),
        ("max_p99_ms = 1", r"Bounds stand below \[gate\]"),
        ("gate = 1", "as a table"),
        ("[gate]\nmax_p99_ms = 'fast'", "gate.max_p99_ms.*as a number.*'fast'"),
        ("[gate]\nmax_p99_ms = true", "as a number"),
        ("[gate]\nmax_p99_ms = -1", "max_p99_ms to be 0 or more"),
        ("[gate]\nmin = 0.9", "gate.min.*as a table of numbers"),
        ("[gate]\nallow_ops = 'ReadFile'", "a list of names"),
        ("[gate]\nevaluation_rows = 1", "true or false"),
        ("[gate]\nmetric_directions = { profit = 'up' }", "as min or max"),
        ("[gate", "Expected TOML"),
    ],
)
def test_a_mistake_is_named_with_its_place(file, text, told):
    with pytest.raises(InvalidArgument, match=told):
        read(file(text), "digits")


def test_a_mistake_in_another_models_bounds_is_found_too(file):
    with pytest.raises(InvalidArgument, match=r"gate\.other\.max_p50"):
        read(file("[gate.other]\nmax_p50 = 1"), "digits")


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(NotFound, match=r"modelport\.toml"):
        read(tmp_path / "modelport.toml", "digits")


def test_senseless_bounds_are_refused():
    for bound in (-1.0, float("nan"), float("inf")):
        with pytest.raises(InvalidArgument, match="max_regression"):
            Gate(max_regression=bound)
    with pytest.raises(InvalidArgument, match="min of 'accuracy' as a number"):
        Gate(min={"accuracy": float("nan")})


def test_bounds_of_a_model_that_is_none_are_a_mistake(file):
    path = file("[gate.digitz]\nmax_p99_ms = 1")
    with pytest.raises(InvalidArgument, match=r"\[gate.digitz\]. Did you mean \[gate.digits\]"):
        read(path, "digits")
    assert read(path, "digits", others=["digits", "digitz"]) == Gate(allow_ops=())
    assert read(path, "flowers") == Gate(allow_ops=())
