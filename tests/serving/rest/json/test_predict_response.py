"""Arrays → Predict bodies, to the byte."""

import base64
import json
from struct import pack, unpack

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelport.errors import InvalidArgument
from modelport_serving.rest.json import encode_error, encode_predictions
from modelport_serving.rest.json.layout import inline
from modelport_serving.rest.json.number_texts import PIECE, double_texts, float_texts, rows
from modelport_serving.rest.json.parser import parse


def written(outputs, row_format):
    return b"".join(encode_predictions(outputs, row_format))


def texts(array):
    return list(rows(array, inline))


def strings(*values):
    array = np.empty(len(values), object)
    array[:] = values
    return array


def f32(*values):
    return np.array(values, np.float32)


@pytest.mark.parametrize(
    ("outputs", "text"),
    [
        ({"y": f32(2.5, 3)}, '{\n    "predictions": [2.5, 3.0\n    ]\n}'),
        ({"y": np.array([[1, 2], [3, 4]])}, '{\n    "predictions": [[1, 2], [3, 4]\n    ]\n}'),
        ({"y": np.zeros((2, 0), np.float32)}, '{\n    "predictions": [[], []\n    ]\n}'),
        ({"y": np.zeros((0, 2), np.float32)}, '{\n    "predictions": []\n}'),
        ({"y": np.zeros(0, np.float16), "z": np.zeros(0)}, '{\n    "predictions": []\n}'),
        ({"y": np.array([True, False])}, '{\n    "predictions": [true, false\n    ]\n}'),
        ({"y": strings(b'a"', b"\xff\x01")}, b'{\n    "predictions": ["a\\"", "\xff\\u0001"\n    ]\n}'),
        (
            {"y_bytes": strings(b"abc!", b"")},
            '{\n    "predictions": [{\n            "b64": "YWJjIQ=="\n        }, {\n            "b64": ""\n        }'
            "\n    ]\n}",
        ),
        (
            {"a": np.array([[6, 8], [1, 2]], np.int32), "b_bytes": strings(b"/", b"")},
            '{\n    "predictions": [\n        {\n            "a": [6, 8],\n            "b_bytes": {\n'
            '                "b64": "Lw=="\n            }\n        },\n        {\n            "a": [1, 2],\n'
            '            "b_bytes": {\n                "b64": ""\n            }\n        }\n    ]\n}',
        ),
    ],
)
def test_rows(outputs, text):
    assert written(outputs, True) == (text if isinstance(text, bytes) else text.encode())


@pytest.mark.parametrize(
    ("outputs", "text"),
    [
        ({"y": f32(2.5)}, '{\n    "outputs": [\n        2.5\n    ]\n}'),
        ({"y": np.float32(2.5)}, '{\n    "outputs": 2.5\n}'),
        ({"y": np.array(7)}, '{\n    "outputs": 7\n}'),
        ({"y": np.array(b"solo\0", object)}, '{\n    "outputs": "solo\\u0000"\n}'),
        ({"y": np.zeros(0, np.float32)}, '{\n    "outputs": []\n}'),
        ({"y": np.zeros((2, 0))}, '{\n    "outputs": [\n        [],\n        []\n    ]\n}'),
        (
            {"y": np.array([[1, 2], [3, 4]])},
            '{\n    "outputs": [\n        [\n            1,\n            2\n        ],\n        [\n            3,\n'
            "            4\n        ]\n    ]\n}",
        ),
        (
            {"y": f32(1), "s_bytes": strings(b"a"), "n": np.array(5)},
            '{\n    "outputs": {\n        "y": [\n            1.0\n        ],\n        "s_bytes": [\n            {\n'
            '                "b64": "YQ=="\n            }\n        ],\n        "n": 5\n    }\n}',
        ),
    ],
)
def test_columns(outputs, text):
    assert written(outputs, False) == text.encode()


@pytest.mark.parametrize(
    ("outputs", "row_format", "text"),
    [
        ({}, True, "Cannot convert empty tensor map to JSON"),
        ({"mean": np.float32(1)}, True, "Tensor name: mean has no shape information "),
        ({"a": f32(1, 2), "b": f32(1)}, True, "Tensor name: b has inconsistent batch size: 1 expecting: 2"),
        ({"a": np.ones(1, np.float16)}, True, "Failed to write JSON value for tensor type: half"),
        ({"a": np.ones(1, ml_dtypes.bfloat16)}, False, "Failed to write JSON value for tensor type: bfloat16"),
        ({"a": np.ones(1, np.uint16)}, False, "Failed to write JSON value for tensor type: uint16"),
        ({"a": np.ones(1, np.complex64)}, True, "Failed to write JSON value for tensor type: complex64"),
        ({"a": f32(1), "b": np.ones(1, np.complex128)}, True, "Failed to write JSON value for tensor type: complex128"),
    ],
)
def test_refused(outputs, row_format, text):
    with pytest.raises(InvalidArgument) as caught:
        encode_predictions(outputs, row_format)
    assert caught.value.message == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1, "0.1"),
        (1.0, "1.0"),
        (-0.0, "-0.0"),
        (1e6, "1e+06"),
        (999999.0, "999999.0"),
        (9999999.0, "9999999.0"),
        (555557.5, "555557.5"),
        (3e-5, "3e-05"),
        (1.5e-7, "1.5e-07"),
        (0.333333343, "0.333333343"),
        (1234.5678, "1234.56775"),
        (16777216.0, "16777216.0"),
        (3.4028235e38, "3.40282347e+38"),
        (float("nan"), "NaN"),
        (float("inf"), "Infinity"),
        (float("-inf"), "-Infinity"),
    ],
)
def test_float_texts(value, text):
    value = float(np.float32(value))
    assert float_texts([value]) == [text.encode()]
    assert texts(f32(*[value] * 60)) == [text.encode()] * 60


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1, "0.1"),
        (1 / 3, "0.33333333333333331"),
        (123456789012.0, "123456789012.0"),
        (1e16, "1e+16"),
        (0.30000000000000004, "0.30000000000000004"),
        (float("-inf"), "-Infinity"),
    ],
)
def test_double_texts(value, text):
    assert double_texts([value]) == [text.encode()]


def plain_float_text(value):
    """The rule, said as simply as it can be."""
    if value != value or abs(value) == float("inf"):
        return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(value)]
    text = f"{value:.6g}"
    if unpack("f", pack("f", float(text)))[0] != value:
        text = f"{value:.9g}"
    return text if "." in text or "e" in text else text + ".0"


floats = st.one_of(
    st.floats(width=32),
    st.floats(-1, 1, width=32),
    st.decimals(-1000, 1000, places=5).map(lambda number: float(np.float32(float(number)))),
    st.integers(-(2**24), 2**24).map(lambda number: number / 2**14),
    st.tuples(st.integers(1, 999999), st.integers(-30, 5)).map(
        lambda pair: float(np.float32(pair[0] * 10.0 ** pair[1]))
    ),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(floats, min_size=49, max_size=120))
@pytest.mark.slow
def test_large_arrays_are_written_like_single_values(values):
    expected = [plain_float_text(value).encode() for value in values]
    assert float_texts(values) == expected
    assert texts(f32(*values)) == expected


@pytest.mark.parametrize("seed", range(4))
def test_many_random_bit_patterns(seed):
    generator = np.random.default_rng(seed)
    patterns = generator.integers(0, 2**32, 3000, np.uint32).view(np.float32)
    decades = (10.0 ** generator.uniform(-16, 8, 3000)).astype(np.float32)
    ties = (generator.integers(0, 4096, 3000) / 2.0 ** generator.integers(0, 30, 3000)).astype(np.float32)
    array = np.concatenate([patterns, decades, ties, -decades])
    assert [text.decode() for text in texts(array)] == [plain_float_text(value) for value in array.tolist()]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int8, np.uint8, np.int16, np.int32, np.int64, np.uint32])
@pytest.mark.parametrize("shape", [(3,), (2, 30), (2, 3, 4), (60, 1), (1, 1, 1, 1)])
@pytest.mark.parametrize("row_format", [True, False])
def test_values_read_back(dtype, shape, row_format):
    array = (np.random.default_rng(1).standard_normal(shape) * 100).astype(dtype)
    array = array.T.copy().T  # not C-contiguous, as a session may return it
    for outputs in ({"y": array}, {"y": array, "z": array + 1}):
        body = json.loads(written(outputs, row_format))
        read = body["predictions" if row_format else "outputs"]
        if len(outputs) == 1:
            read = {"y": read}
        elif row_format:
            read = {name: [row[name] for row in read] for name in outputs}
        for name, value in outputs.items():
            np.testing.assert_array_equal(np.array(read[name], dtype), value, strict=True)


@given(st.lists(st.binary(max_size=20), min_size=1, max_size=4))
def test_strings_read_back(values):
    body = parse(written({"s": strings(*values), "s_bytes": strings(*values)}, False), 99, runs=False)[0]
    assert body[b"outputs"][b"s"] == values
    assert [base64.b64decode(item[b"b64"]) for item in body[b"outputs"][b"s_bytes"]] == values


def test_error_body():
    assert encode_error('a "b"\n\x1f ü \udcff') == b'{\n    "error": "a \\"b\\"\\n\\u001F \xc3\xbc \xff"\n}'


@pytest.mark.parametrize("shape", [(PIECE + 7,), (3, PIECE + 1), (PIECE, 3), (2, 5, PIECE // 4), (PIECE + 3, 1)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_large_arrays_are_written_in_pieces_that_nobody_sees(shape, dtype):
    array = np.arange(np.prod(shape)).reshape(shape).astype(dtype) / (1 if dtype == np.int64 else 8)
    for row_format in (True, False):
        body = json.loads(written({"y": array}, row_format))
        np.testing.assert_array_equal(np.array(next(iter(body.values())), dtype), array)
