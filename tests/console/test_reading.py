"""What is typed and pasted, as what is sent."""

import numpy as np
import pytest

from modelport.dtypes import BY_NAME
from modelport_client import SignatureSpec, TensorSpec
from modelport_console.trying import reading
from modelport_console.trying.answering import misfits, outputs
from modelport_console.trying.reading import FieldError


def read(dtype, shape, given):
    spec = SignatureSpec({"x": TensorSpec(BY_NAME[dtype], shape)}, {}, "")
    return reading.read(spec, {"x": given if isinstance(given, dict) else {"text": given}})["x"]


@pytest.mark.parametrize(
    ("shape", "text", "expected"),
    [
        ((), "4", 4),
        ((-1,), "4", [4]),
        ((-1, 1), "4.5", [[4.5]]),
        ((-1,), "[1, 2]", [1, 2]),
        ((-1,), "1\n2\n3", [1, 2, 3]),
        ((-1,), "1\t2\t3\n", [1, 2, 3]),
        ((-1, 2), "1\t2\n3\t4", [[1, 2], [3, 4]]),
        ((-1, 2), "1, 2\r\n3, 4", [[1, 2], [3, 4]]),
        ((-1, 2), "1 2\n3 4", [[1, 2], [3, 4]]),
        ((-1, 2, 2), "1\t2\n3\t4", [[[1, 2], [3, 4]]]),
        ((-1, 3), "1e-3\t-2\t.5", [[1e-3, -2, 0.5]]),
        (None, "[[1]]", [[1]]),
    ],
)
def test_numbers(shape, text, expected):
    assert np.asarray(read("float", shape, text)).tolist() == expected


@pytest.mark.parametrize(
    ("shape", "text", "words"),
    [
        ((-1,), "", "Received: nothing"),
        ((-1,), "a", "row 1, column 1"),
        ((-1, 2), "1\t2\n3\tx", "row 2, column 2"),
        ((-1,), "[1,", "Expected JSON"),
        ((-1,), '["a"]', "Expected numbers"),
        ((-1, 2), "[[1, 2], [3]]", "Expected float"),
        ((-1, 2, 2), "1\t2\t3", "Expected float"),
        ((-1,), '{"a": 1}', "Expected numbers"),
    ],
)
def test_what_are_no_numbers(shape, text, words):
    with pytest.raises(FieldError, match=words) as caught:
        read("float", shape, text)
    assert caught.value.field == "x"


@pytest.mark.parametrize(
    ("shape", "text", "expected"),
    [
        ((-1,), "one line", ["one line"]),
        ((-1,), "two\nlines", ["two", "lines"]),
        ((-1,), '["a", "b"]', ["a", "b"]),
        ((-1,), "[no json", ["[no json"]),
        ((-1, 2), "a\tb\nc\td", [["a", "b"], ["c", "d"]]),
        ((), "alone\nwhole", "alone\nwhole"),
    ],
)
def test_text(shape, text, expected):
    assert np.asarray(read("string", shape, text), object).tolist() == expected


def test_files_and_pixels():
    assert read("string", (-1,), {"b64": ["aGk="]}) == [b"hi"]
    drawn = read("uint8", (-1, 2, 2), {"pixels": {"values": [0, 128, 255, 1]}})
    assert (drawn.dtype, drawn.tolist()) == (np.uint8, [[[0, 128], [255, 1]]])
    scaled = read("float", (-1, 1, 2, 1), {"pixels": {"values": [0, 255], "scale": 1 / 255}})
    assert (scaled.dtype, scaled.ravel().tolist()) == (np.float32, [0, 1])
    for wrong in ({"b64": ["?"]}, {"b64": 1}):
        with pytest.raises(FieldError):
            read("string", (-1,), wrong)
    for wrong in ({"values": [1]}, {"values": [300, 0, 0, 0]}, {}, "x"):
        with pytest.raises(FieldError):
            read("uint8", (-1, 2, 2), {"pixels": wrong})


def test_an_input_that_is_missing_or_of_another_shape():
    spec = SignatureSpec({"x": TensorSpec(BY_NAME["float"], (-1, 2)), "y": TensorSpec(None, None)}, {}, "")
    with pytest.raises(FieldError, match="Received: nothing"):
        reading.read(spec, {"x": {"text": "1 2"}})
    assert misfits(spec, {"x": np.zeros((1, 3)), "y": [1]}) == ["x"]
    assert misfits(spec, {"x": [[1, 2], [3]], "y": [1]}) == ["x"]


def test_the_way_an_answer_is_shown_follows_its_values():
    from modelport_client import Prediction

    answer = Prediction(
        {
            "bars": np.float32([[0.25, 0.75]]),
            "picture": np.zeros((1, 4, 4), np.float32),
            "scores": np.float32([[0.25, 0.5]]),
            "words": np.array([b"a"], object),
            "odd": np.float32([np.nan]),
            "many": np.zeros(100_000),
        },
        "m",
    )
    shown = {one["name"]: one for one in outputs(answer)}
    assert {name: one["kind"] for name, one in shown.items()} == {
        "bars": "bars", "picture": "picture", "scores": "table", "words": "table", "odd": "table", "many": "table",
    }  # fmt: skip
    assert shown["odd"]["rows"] == ["nan"]
    assert shown["words"]["rows"] == ["a"]
    assert (len(shown["many"]["rows"]), shown["many"]["more"]) == (20, 99_980)
