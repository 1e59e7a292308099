"""Arrays cast to the dtype that a signature has, where no value is lost."""

from __future__ import annotations

import numpy as np

from modelport.dtypes import BY_NAME, DType, Layout, of_array
from modelport.errors import InvalidArgument
from modelport_client.results import Array

_FLOATS = {BY_NAME[name] for name in ("half", "bfloat16", "float", "double", "float8_e5m2", "float8_e4m3fn")}
_COMPLEX = {BY_NAME["complex64"], BY_NAME["complex128"]}
_INTEGERS = {
    BY_NAME[name]
    for name in ("int4", "uint4", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")
}
_WHOLE = {*_INTEGERS, BY_NAME["bool"]}  # what is compared value by value


def cast(array: Array, dtype: DType) -> Array:
    """The array with the dtype.

    Floats become narrower floats as numpy rounds them: `numpy.random.rand` is what everybody holds, and float32 what
    models take. A finite value that would become infinite is a loss. Integers must come through exactly, and floats are
    no integers. An array without values fits every dtype.

    Raises:
        InvalidArgument: values would be lost, or are of another kind; the text names both dtypes.
    """
    have = of_array(array)
    if have == dtype:
        return array
    if not array.size:
        return np.empty(array.shape, dtype.numpy)
    if have in _WHOLE and dtype in _INTEGERS:
        _refuse_lost(array, _out_of_range(array, dtype), have, dtype)
    elif have in _WHOLE and dtype in _FLOATS | _COMPLEX:
        _refuse_lost(array, _inexact(array, dtype), have, dtype)
    elif (have in _FLOATS and dtype in _FLOATS | _COMPLEX) or (have in _COMPLEX and dtype in _COMPLEX):
        with np.errstate(over="ignore", invalid="ignore"):
            cast_array = array.astype(dtype.numpy)
        if not np.isfinite(cast_array).all():
            _refuse_lost(array, np.isfinite(array) & ~np.isfinite(cast_array), have, dtype)
        return cast_array
    elif have.layout is Layout.STRING:
        raise InvalidArgument(f"Expected numbers of type {dtype.name}; received strings.")
    elif dtype.layout is Layout.STRING:
        raise InvalidArgument(f"Expected strings or bytes; received an array of {have.name}.")
    else:
        raise InvalidArgument(f"Expected values of type {dtype.name}; received {have.name}, which is of another kind.")
    return array.astype(dtype.numpy)


def _out_of_range(array: Array, dtype: DType) -> Array:
    """Where integers are beyond the dtype's. Bounds are taken in Python, where they do not wrap around."""
    lowest, highest = _bounds(dtype)
    if lowest <= int(array.min()) and int(array.max()) <= highest:
        return np.zeros(array.shape, bool)
    if array.dtype.itemsize < 8:
        array = array.astype(np.int64)
    own = np.iinfo(array.dtype)
    return (array < max(lowest, own.min)) | (array > min(highest, own.max))


def _bounds(dtype: DType) -> tuple[int, int]:
    bits = 4 if dtype.name.endswith("int4") else 8 * dtype.numpy.itemsize  # ml_dtypes keeps 4 bits in a byte
    return (0, 2**bits - 1) if dtype.name.startswith("u") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def _inexact(array: Array, dtype: DType) -> Array:
    """Where integers come back from the float dtype as others."""
    wide = array.astype(np.uint64 if array.dtype.kind == "u" else np.int64)
    with np.errstate(over="ignore", invalid="ignore"):
        narrowed = wide.astype(dtype.numpy)
        back = (narrowed.real if dtype in _COMPLEX else narrowed).astype(np.float64)
        too_high = back >= 2.0 ** (64 if wide.dtype.kind == "u" else 63)  # rounded up to where it cannot come back from
        return too_high | (np.where(too_high, 0, back).astype(wide.dtype) != wide)


def _refuse_lost(array: Array, lost: Array, have: DType, dtype: DType) -> None:
    if lost.any():
        raise InvalidArgument(
            f"Expected values of type {dtype.name}; received {have.name} that does not convert without loss, such as "
            f"{array[lost].ravel()[0]}."
        )
