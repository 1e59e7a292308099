"""Casting loses nothing but the digits of narrower floats."""

import numpy as np
import pytest

from modelport.dtypes import BY_NAME
from modelport.errors import InvalidArgument
from modelport_client.inputs.casting import cast

NUMBERS = np.random.default_rng(1).random((2, 5))


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (NUMBERS, "float"),
        (NUMBERS, "half"),
        (NUMBERS, "bfloat16"),
        (NUMBERS.astype(np.float32), "double"),
        (NUMBERS, "complex64"),
        (np.array([np.nan, np.inf, -np.inf]), "float"),
        (np.array([1e-300]), "float"),
        (np.array([2**31 - 1, -(2**31)]), "int32"),
        (np.array([0, 255]), "uint8"),
        (np.array([2**63], np.uint64), "uint64"),
        (np.array([-8, 7]), "int4"),
        (np.array([2**24, -(2**24), 2**25]), "float"),
        (np.array([-(2**63), 2**62]), "double"),
        (np.array([True, False]), "float"),
        (np.array([True, False]), "int32"),
        (np.zeros((0, 3)), "int32"),
        (np.zeros((0, 3)), "string"),
        (np.array(3), "float"),
    ],
)
def test_what_fits(values, dtype):
    """`np.random.rand(2, 5)` was refused on gRPC and taken on REST."""
    row = BY_NAME[dtype]
    found = cast(values, row)
    assert found.dtype == row.numpy
    assert found.shape == values.shape
    if values.size:
        np.testing.assert_array_equal(found, values.astype(row.numpy))


@pytest.mark.parametrize(
    ("values", "dtype", "words"),
    [
        (np.array([1.0, 1e39]), "float", "type float; received double .* such as 1e[+]39"),
        (np.array([1e5]), "half", "type half; received double"),
        (np.array([500.0]), "float8_e4m3fn", "type float8_e4m3fn; received double"),
        (np.array([2**31]), "int32", "type int32; received int64 .* such as 2147483648"),
        (np.array([-1]), "uint64", "type uint64; received int64 .* such as -1"),
        (np.array([-1], np.int8), "uint8", "type uint8; received int8"),
        (np.array([2**63], np.uint64), "int64", "type int64; received uint64"),
        (np.array([8]), "int4", "type int4; received int64"),
        (np.array([2**24 + 1]), "float", "type float; received int64 .* such as 16777217"),
        (np.array([2**63 - 1]), "double", "type double; received int64"),
        (np.array([2**63 - 1]), "float", "type float; received int64"),
        (np.array([2**64 - 1], np.uint64), "double", "type double; received uint64"),
        (np.array([70000]), "half", "type half; received int64"),
        (np.array([1.0]), "int32", "type int32; received double, which is of another kind"),
        (np.array([1]), "bool", "type bool; received int64"),
        (np.array([1j]), "float", "type float; received complex128"),
        (np.array(["1"]), "float", "type float; received strings"),
        (np.array([1]), "string", "strings or bytes; received an array of int64"),
    ],
)
def test_what_would_lose_names_both_dtypes(values, dtype, words):
    with pytest.raises(InvalidArgument, match=words):
        cast(values, BY_NAME[dtype])
