"""Arrays as JSON and back."""

import json

import numpy as np
import pytest

from modelport.dtypes import BY_NAME
from modelport.errors import DeadlineExceeded, InvalidArgument
from modelport_client.results import SignatureSpec, TensorSpec
from modelport_client.transports.deadline import Deadline
from modelport_client.transports.json_arrays import Mismatch, filled, read_outputs, request_body


def written(**inputs):
    return json.loads(request_body(inputs, "sig", Deadline(60, "here")))


def read(value, dtype, shape=None):
    return read_outputs(value, SignatureSpec({}, {"y": TensorSpec(BY_NAME[dtype], shape)}, ""))["y"]


@pytest.mark.parametrize(
    "shape",
    [(), (1,), (16_384,), (16_385,), (50_000, 1), (1, 50_000), (3, 20_000), (300, 7, 11), (0,), (3, 0), (2, 3, 0)],
)
def test_slices_are_what_one_piece_would_be(shape):
    for dtype in (np.float32, np.int64):
        array = np.arange(np.prod(shape, dtype=int), dtype=dtype).reshape(shape)
        assert written(x=array) == {"signature_name": "sig", "inputs": {"x": array.tolist()}}


def test_strings():
    array = np.array([["a", b"\xff"], ['"', "é"]], object)
    assert written(s=array)["inputs"]["s"] == [["a", {"b64": "/w=="}], ['"', "é"]]
    many = np.array([str(number) for number in range(1000)], object)
    assert written(s=many, t=many)["inputs"] == {"s": many.tolist(), "t": many.tolist()}


def test_numbers_that_are_none():
    assert np.isnan(written(x=np.array([np.nan], np.float32))["inputs"]["x"][0])


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros(1, np.float16), "received half. Use gRPC"),
        (np.zeros(1, np.complex64), "received complex64. Use gRPC"),
        (np.zeros((0, 3)), r"received \[0, 3\], whose dimensions"),
        (np.zeros((2, 0, 3)), r"received \[2, 0, 3\], whose dimensions"),
    ],
)
def test_what_json_cannot_carry(array, words):
    with pytest.raises(InvalidArgument, match=words):
        written(x=array)


def test_a_row_is_put_in_only_where_json_would_lose_the_shape():
    assert filled({"x": np.zeros((2, 3)), "y": np.zeros(0)}) is None
    rows = filled({"x": np.zeros((0, 3)), "s": np.zeros(0, object), "k": np.array(2)})
    assert {name: array.tolist() for name, array in rows.items()} == {"x": [[0, 0, 0]], "s": [b""], "k": 2}


def test_no_time():
    with pytest.raises(DeadlineExceeded, match="No answer from here within 1e-09 s"):
        request_body({"x": np.zeros(3)}, "", Deadline(1e-9, "here"))


@pytest.mark.parametrize(
    ("value", "dtype", "shape", "expected"),
    [
        ([1.5, 2], "float", (-1,), np.array([1.5, 2], np.float32)),
        ([16777217], "float", (-1,), np.array([16777216], np.float32)),
        ([1, -2], "int32", (-1,), np.array([1, -2], np.int32)),
        ([2**64 - 1, 1], "uint64", (-1,), np.array([2**64 - 1, 1], np.uint64)),
        ([True], "bool", (-1,), np.array([True])),
        (1.5, "double", (), np.array(1.5)),
        ([], "int64", (-1, 4), np.zeros((0, 4), np.int64)),
        ([], "float", (-1, -1, 2), np.zeros((0, 0, 2), np.float32)),
        ([[], []], "float", (-1, -1, 2), np.zeros((2, 0, 2), np.float32)),
        ([], "float", None, np.zeros(0, np.float32)),
        ([], "string", (-1, 2), np.zeros((0, 2), object)),
        ([["a", {"b64": "/w=="}]], "string", (-1, 2), np.array([[b"a", b"\xff"]], object)),
        ({"b64": "/w=="}, "string", (), np.array(b"\xff", object)),
    ],
)
def test_reading(value, dtype, shape, expected):
    found = read(value, dtype, shape)
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    assert found.tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        ([1.75], "int32"),
        ([2**31], "int32"),
        ([-1], "uint8"),
        ([1.5], "uint8"),
        ([1], "bool"),
        ([True], "float"),
        ([True], "int32"),
        (["a"], "float"),
        ([1.5], "string"),
        ([["a"], "b"], "string"),
        ([["a"], ["b", "c"]], "string"),
        ([[1.5], [1.5, 2.5]], "float"),
        ([{"b64": "?"}], "string"),
        ({"a": [1.5], "b": [1.5]}, "float"),
        ([None], "float"),
        ([1e39], "float"),
    ],
)
def test_what_is_not_of_the_signature(value, dtype):
    """1.75 was read as 1."""
    with pytest.raises(Mismatch, match="for the output 'y'"):
        read(value, dtype)


@pytest.mark.parametrize("value", [{"a": [1]}, {"a": [1], "c": [1]}, {"a": [1], "b": [1], "c": [1]}, [1], None])
def test_other_names(value):
    spec = TensorSpec(BY_NAME["int32"], (-1,))
    with pytest.raises(Mismatch, match=r"the outputs \['a', 'b'\]"):
        read_outputs(value, SignatureSpec({}, {"a": spec, "b": spec}, ""))
