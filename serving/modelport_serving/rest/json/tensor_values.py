"""Parsed JSON values → arrays of a signature's dtype, by TensorFlow Serving's rules.

The dtype decides what a literal may be: floats take any number; integers take integer literals only (`1.0` and `true`
are refused), of the range of int32 for the narrow ones, which then wrap; bools take true and false; strings take
strings and base64 objects. The shape is read from the first element of each level; every other element must fit it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from modelport import dtypes
from modelport.dtypes import DType
from modelport.errors import InvalidArgument, Unimplemented
from modelport_serving.rest.json.dump import dump, type_name, value_error
from modelport_serving.rest.json.strings import decode_base64, is_base64_object

Array = np.ndarray[Any, np.dtype[Any]]

_INT32 = (-(2**31), 2**31 - 1)
INTEGER_RANGES: dict[str, tuple[int, int]] = {
    "int8": _INT32,
    "uint8": _INT32,
    "int16": _INT32,
    "int32": _INT32,
    "int64": (-(2**63), 2**63 - 1),
    "uint32": (0, 2**32 - 1),
    "uint64": (0, 2**64 - 1),
}
MAX_RANK = 64  # numpy's
_PIECE = 2**15  # values that are converted at a time: a millisecond


def shape_of(value: Any, *, rows: bool = False) -> tuple[int, ...]:
    """The shape that the first element of each level promises; of `rows`, which will have one dimension more.

    Raises:
        InvalidArgument: more levels than an array can have dimensions.
    """
    shape = []
    while isinstance(value, list):
        shape.append(len(value))
        value = value[0] if value else None
    if len(shape) + rows > MAX_RANK:
        raise InvalidArgument(
            f"Expected a tensor of at most {MAX_RANK} dimensions; received lists nested {len(shape)} deep."
        )
    return tuple(shape)


def flatten(value: Any, shape: tuple[int, ...], dtype: DType) -> list[Any]:
    """The values of a tensor in row-major order, checked against shape and dtype.

    Raises:
        InvalidArgument: a list of another length or at another level, or a value that the dtype does not take.
        Unimplemented: a dtype that JSON cannot carry.
    """
    flat: list[Any] = []
    _fill(value, 0, shape, dtype, flat)
    return flat


def to_array(flat: list[Any], shape: tuple[int, ...], dtype: DType) -> Array:
    """The array of checked values; strings make an object array of bytes, a shape of () makes a scalar."""
    if dtype.name in ("string", "uint64", "bool"):
        array = _filled(flat, dtype.numpy)
    elif dtype.name in INTEGER_RANGES:
        array = _filled(flat, np.dtype(np.int64)).astype(dtype.numpy)  # wraps, as the real server's cast does
    else:
        array = narrowed(_filled(flat, np.dtype(np.float64)), dtype.name)
    return array.reshape(shape)


def narrowed(array: Array, name: str) -> Array:
    """Numbers as `float` or `double`; what is beyond the range of a float is infinity, as in the real server."""
    with np.errstate(over="ignore"):
        doubles = array.astype(np.float64, copy=False)
        return doubles.astype(np.float32) if name == "float" else doubles


def _filled(flat: list[Any], dtype: np.dtype[Any]) -> Array:
    """An array of Python's values; a piece at a time, because the interpreter is held while one is converted."""
    array = np.empty(len(flat), dtype)
    for at in range(0, len(flat), _PIECE):
        array[at : at + _PIECE] = flat[at : at + _PIECE]
    return array


def tensor(value: Any, number: int) -> Array:
    """The array of one JSON value, read as DataType `number`.

    Raises:
        InvalidArgument: see `flatten`; or no tensor has that dtype.
        Unimplemented: a dtype that JSON cannot carry.
    """
    dtype = dtypes.by_number(number)
    shape = shape_of(value)
    return to_array(flatten(value, shape, dtype), shape, dtype)


def shape_text(shape: tuple[int, ...]) -> str:
    """A shape as error texts write it: `[2,3]`."""
    return f"[{','.join(map(str, shape))}]"


def _fill(value: Any, level: int, shape: tuple[int, ...], dtype: DType, flat: list[Any]) -> None:
    rank = len(shape)
    if not isinstance(value, list):
        if level != rank:
            raise value_error(
                value, f"found at incorrect level: {level + 1} in the JSON DOM. Expected at level: {rank}"
            )
        flat.append(_scalar(value, dtype))
        return
    if level >= rank:
        raise InvalidArgument(f"Encountered list at unexpected level: {level} expected < {rank}")
    if len(value) != shape[level]:
        raise InvalidArgument(
            f"Encountered list at unexpected size: {len(value)} at level: {level} expected size: {shape[level]}"
        )
    for item in value:
        _fill(item, level + 1, shape, dtype, flat)


def _scalar(value: Any, dtype: DType) -> Any:
    kind = type(value)
    name = dtype.name
    if name in ("float", "double"):
        if kind is float or kind is int:
            return value
    elif name in INTEGER_RANGES:
        low, high = INTEGER_RANGES[name]
        if kind is int and low <= value <= high:
            return value
    elif name == "bool":
        if kind is bool:
            return value
    elif name == "string":
        if kind is bytes:
            return value
        if is_base64_object(value):
            return decode_base64(value[b"b64"])
        if kind is dict:
            raise value_error(value, "not formatted correctly for base64 data")
    else:
        raise Unimplemented(f"Conversion of JSON Value: {dump(value)} to type: {name}")
    raise value_error(value, f"Type: {type_name(value)} is not of expected type: {name}")
