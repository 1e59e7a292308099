"""The dtype table: TensorFlow's DataType numbers, their short names, numpy types and places in a TensorProto.

Source of numbers, names and fields: the TensorFlow API's `types.proto` and `tensor.proto`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cache, cached_property
from typing import Any

import numpy as np

from modelport.errors import InvalidArgument
from modelport.wire import messages


class Layout(Enum):
    """How a dtype's values lie in their TensorProto field."""

    FIXED = "fixed"  # packed little-endian numbers: the bytes of the numpy array
    VARINT = "varint"  # packed varints of the integer values
    PATTERN = "pattern"  # packed varints of 16 bit patterns
    BYTES = "bytes"  # one bytes field, one byte a value
    STRING = "string"  # one bytes entry a value


@dataclass(frozen=True)
class DType:
    """One row of the table."""

    number: int
    name: str  # TensorFlow's short name, as its error texts print it
    numpy_name: str  # numpy's name, or that of ml_dtypes; "object" for strings
    field: str
    layout: Layout

    @property
    def enum_name(self) -> str:
        """The name in the API's enum, `DT_FLOAT`."""
        return "DT_" + self.name.upper()

    @cached_property
    def numpy(self) -> np.dtype[Any]:
        """The numpy dtype; ml_dtypes is imported for those that numpy lacks.

        Raises:
            InvalidArgument: the dtype lives in ml_dtypes, which is not installed.
        """
        return _numpy_dtype(self.numpy_name, self.name)


@cache
def _numpy_dtype(numpy_name: str, name: str) -> np.dtype[Any]:
    if name.startswith(("qint", "quint")):  # a structured dtype is how TensorFlow tells qint8 from int8 in numpy
        return np.dtype([(name, numpy_name)])
    try:
        return np.dtype(numpy_name)
    except TypeError:
        pass
    try:
        import ml_dtypes
    except ImportError as error:
        raise InvalidArgument(
            f"Expected ml_dtypes for tensors of type {name}, which numpy does not know; it is not installed. "
            "Run: pip install ml_dtypes"
        ) from error
    return np.dtype(getattr(ml_dtypes, numpy_name))


_TABLE = (
    ("float", "float32", "float_val", Layout.FIXED),
    ("double", "float64", "double_val", Layout.FIXED),
    ("complex64", "complex64", "scomplex_val", Layout.FIXED),
    ("complex128", "complex128", "dcomplex_val", Layout.FIXED),
    ("int8", "int8", "int_val", Layout.VARINT),
    ("int16", "int16", "int_val", Layout.VARINT),
    ("int32", "int32", "int_val", Layout.VARINT),
    ("int64", "int64", "int64_val", Layout.VARINT),
    ("uint8", "uint8", "int_val", Layout.VARINT),
    ("uint16", "uint16", "int_val", Layout.VARINT),
    ("uint32", "uint32", "uint32_val", Layout.VARINT),
    ("uint64", "uint64", "uint64_val", Layout.VARINT),
    ("bool", "bool", "bool_val", Layout.VARINT),
    ("qint8", "int8", "int_val", Layout.VARINT),
    ("qint16", "int16", "int_val", Layout.VARINT),
    ("qint32", "int32", "int_val", Layout.VARINT),
    ("quint8", "uint8", "int_val", Layout.VARINT),
    ("quint16", "uint16", "int_val", Layout.VARINT),
    ("int4", "int4", "int_val", Layout.VARINT),
    ("uint4", "uint4", "int_val", Layout.VARINT),
    ("half", "float16", "half_val", Layout.PATTERN),
    ("bfloat16", "bfloat16", "half_val", Layout.PATTERN),
    ("float8_e5m2", "float8_e5m2", "float8_val", Layout.BYTES),
    ("float8_e4m3fn", "float8_e4m3fn", "float8_val", Layout.BYTES),
    ("string", "object", "string_val", Layout.STRING),
)

DTYPES: tuple[DType, ...] = tuple(DType(getattr(messages, "DT_" + row[0].upper()), *row) for row in _TABLE)
BY_NUMBER: dict[int, DType] = {dtype.number: dtype for dtype in DTYPES}
BY_NAME: dict[str, DType] = {dtype.name: dtype for dtype in DTYPES}
STRING = BY_NAME["string"]

# numpy's spelling → row; quantized types are told by their structured dtype, not by this map.
_BY_NUMPY_NAME: dict[str, DType] = {d.numpy_name: d for d in DTYPES if not d.name.startswith(("qint", "quint"))}
_seen: dict[np.dtype[Any], DType] = {}  # plain types, each asked for its name once: that takes numpy some microseconds


def by_number(number: int) -> DType:
    """The row of a DataType number.

    Raises:
        InvalidArgument: no tensor of that type can be sent (unset, a reference, a resource, unknown).
    """
    try:
        return BY_NUMBER[number]
    except KeyError:
        raise InvalidArgument(
            f"Expected a dtype whose tensors can be sent, such as DT_FLOAT=1 or DT_STRING=7; received {number}."
        ) from None


def of_array(array: np.ndarray[Any, Any]) -> DType:
    """The row of a numpy array's dtype; object, str and bytes arrays are strings.

    Raises:
        InvalidArgument: TensorFlow has no such type (datetime64, float128, structured, …).
    """
    dtype = array.dtype
    known = _seen.get(dtype)
    if known is not None:
        return known
    if dtype.kind in "OSU":
        return STRING
    if dtype.names is not None and len(dtype.names) == 1 and dtype.names[0] in BY_NAME:
        return BY_NAME[dtype.names[0]]
    row = _BY_NUMPY_NAME.get(dtype.name)
    if row is None:
        raise InvalidArgument(
            f"Expected an array of a type that TensorFlow knows (float32, int64, bool, str, …); received {dtype}. "
            "Convert it first, for example with array.astype('float32')."
        )
    _seen[dtype] = row
    return row
