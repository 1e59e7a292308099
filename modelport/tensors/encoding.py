"""numpy arrays → TensorProto."""

from __future__ import annotations

import sys
from numbers import Number
from typing import Any

import numpy as np

from modelport import dtypes, varint
from modelport.dtypes import DType, Layout
from modelport.errors import InvalidArgument
from modelport.tensors.fields import CONTENT_NUMBER, FIELD_NUMBERS
from modelport.wire import messages

Array = np.ndarray[Any, np.dtype[Any]]

_TRUE_LITTLE = sys.byteorder == "little"


def encode(
    value: Any, dtype: DType | None = None, *, typed: bool = False, strings_as_content: bool = False
) -> messages.TensorProto:
    """Make the TensorProto of an array.

    Args:
        value: a numpy array, or anything that `numpy.asarray` takes; str are sent as UTF-8.
        dtype: the row of the table to send as; by default that of the array.
        typed: write typed fields as the real server does, rather than `tensor_content`.
        strings_as_content: write strings into `tensor_content` too; few readers but TensorFlow's own know that form.

    Returns:
        The message, with its shape and all values written out.

    Raises:
        InvalidArgument: TensorFlow has no such type, the values do not convert to `dtype`, or the rows are ragged.
    """
    proto = messages.TensorProto()
    encode_into(proto, value, dtype, typed=typed, strings_as_content=strings_as_content)
    return proto


def encode_into(
    proto: messages.TensorProto,
    value: Any,
    dtype: DType | None = None,
    *,
    typed: bool = False,
    strings_as_content: bool = False,
) -> None:
    """`encode` into an empty message that is part of another: what is large is not copied once more."""
    array = as_array(value, dtype)
    row = dtype or dtypes.of_array(array)
    _encode_head(proto, array, row)
    if row.layout is Layout.STRING:
        strings = _utf8(array)
        if strings_as_content:
            lengths = np.array([len(string) for string in strings], np.int64)
            proto.tensor_content = varint.encode(lengths) + b"".join(strings)
        else:
            proto.string_val.extend(strings)
    elif not array.size:
        pass
    elif not typed:
        proto.tensor_content = _little_endian(array).tobytes()
    elif row.layout is Layout.BYTES:
        proto.float8_val = array.tobytes()
    else:
        getattr(proto, row.field).append(_packed(array, row))


def encode_apart(proto: messages.TensorProto, array: Array, *, typed: bool = False) -> tuple[int, list[Array]]:
    """`encode_into` but for the values, for numbers of so many bytes that each copy counts.

    Returns:
        The number of the message's field that is missing, and the bytes of its one value, in pieces.
    """
    row = dtypes.of_array(array)
    _encode_head(proto, array, row)
    number = FIELD_NUMBERS[row.field] if typed else CONTENT_NUMBER
    flat = np.ascontiguousarray(array).reshape(-1)
    if not typed or row.layout in (Layout.FIXED, Layout.BYTES):
        return number, [_little_endian(flat).view(np.uint8)]
    return number, [np.frombuffer(piece, np.uint8) for piece in varint.encode_pieces(_integers(flat, row))]


def as_array(value: Any, dtype: DType | None = None) -> Array:
    """`numpy.asarray` that refuses ragged rows and lossy conversions of numbers to `dtype`, with a clear error."""
    array = value if isinstance(value, np.ndarray) else _from_python(value)
    if array.dtype.kind == "O":
        _refuse_foreign_objects(array)
    strings = array.dtype.kind in "OSU"
    if dtype is None or array.dtype == dtype.numpy or (strings and dtype.layout is Layout.STRING):
        return array
    if dtype.layout is Layout.STRING:
        raise InvalidArgument(f"Expected strings or bytes; received an array of {array.dtype}.")
    if strings:
        raise InvalidArgument(f"Expected numbers of type {dtype.name}; received strings.")
    if not np.can_cast(array.dtype, dtype.numpy, "same_kind") and not _exact(array, dtype.numpy):
        raise InvalidArgument(
            f"Expected values of type {dtype.name}; received {array.dtype}, which does not convert without loss."
        )
    return array.astype(dtype.numpy)


def _from_python(value: Any) -> Array:
    """Strings become objects: numpy's own string types cut trailing NULs and mix up str and bytes."""
    try:
        array = np.asarray(value)
    except UnicodeDecodeError:  # str and bytes side by side
        return np.array(value, object)
    except ValueError as error:
        raise InvalidArgument(
            f"Expected rows of equal length; received a ragged {type(value).__name__} ({error})."
        ) from error
    return np.array(value, object) if array.dtype.kind in "SU" else array


def _encode_head(proto: messages.TensorProto, array: Array, row: DType) -> None:
    proto.dtype = row.number
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    proto.tensor_shape.SetInParent()


def _exact(array: Array, dtype: np.dtype[Any]) -> bool:
    """Whether every value survives the conversion; int64 1 to uint8, for example."""
    if array.dtype.kind not in "iub" or dtype.kind not in "iuf":
        return False
    return bool(np.array_equal(array.astype(dtype).astype(array.dtype), array))


def _refuse_foreign_objects(array: Array) -> None:
    items = array.ravel().tolist()  # array.flat ends at 32 dimensions
    foreign = [item for item in items if not isinstance(item, str | bytes)]
    if foreign:
        # A None among numbers is what is wrong, not the numbers.
        item = next((item for item in foreign if not isinstance(item, Number)), foreign[0])
        raise InvalidArgument(
            "Expected an array of one type of numbers, or of str or bytes; received "
            f"{type(item).__name__}: {item!r:.80} among objects."
        )


def _utf8(array: Array) -> list[bytes]:
    if array.dtype.kind == "S":
        return array.ravel().tolist()
    return [item.encode() if isinstance(item, str) else item for item in array.ravel().tolist()]


def _little_endian(array: Array) -> Array:
    return array if _TRUE_LITTLE and array.dtype.isnative else array.astype(array.dtype.newbyteorder("<"))


def _packed(array: Array, row: DType) -> bytes:
    if row.layout is Layout.FIXED:
        return _little_endian(array).tobytes()
    return varint.encode(_integers(np.ascontiguousarray(array).ravel(), row))


def _integers(flat: Array, row: DType) -> Array:
    """What is written as varints."""
    if row.layout is Layout.PATTERN:
        return flat.view(np.uint16)
    return flat if flat.dtype.names is None else flat.view(row.numpy_name)
