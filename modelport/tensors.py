"""numpy ⇄ TensorProto, without a Python object for each number.

A TensorProto carries its values either as `tensor_content` (the array's bytes) or in a typed field (`float_val`, …).
Clients may send either; the real server answers with typed fields. In our descriptors (`wire/protos/tensor.proto`) the
packed typed fields are plain bytes, so fixed-width values pass through `numpy.frombuffer`, and varints through
`modelport.varint`. What is accepted follows the real server: fewer values than elements repeat the last one, none
at all mean zeros or empty strings, surplus values are dropped, a missing shape is a scalar, values in another type's
field are not seen.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from google.protobuf.unknown_fields import UnknownFieldSet

from modelport import dtypes, varint
from modelport.dtypes import DType, Layout
from modelport.errors import InvalidArgument, ResourceExhausted
from modelport.tensor_shapes import shape_and_size
from modelport.wire import messages

Array = np.ndarray[Any, np.dtype[Any]]

# The API's own bound on a message; a short value list may not blow up past it.
MAX_BYTES = 2**31 - 1
_WIRE_VARINT, _WIRE_FIXED64, _WIRE_FIXED32 = 0, 1, 5
_FIELD_NUMBERS = {field.name: field.number for field in messages.TensorProto.DESCRIPTOR.fields}
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
    proto.dtype = row.number
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    proto.tensor_shape.SetInParent()
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


def decode(proto: messages.TensorProto) -> Array:
    """Read a TensorProto into an array of its shape; strings become an object array of bytes.

    The array may share the message's memory and then is read-only.

    Raises:
        InvalidArgument: unknown dtype, negative or more than 64 dimensions, `tensor_content` of another length than the
            shape asks for, or malformed packed values.
        ResourceExhausted: a few values stand for more than 2 GiB.
    """
    row = dtypes.BY_NUMBER.get(proto.dtype) or dtypes.by_number(proto.dtype)
    shape, size = shape_and_size(proto.tensor_shape)
    length = size * row.numpy.itemsize
    if length > MAX_BYTES:
        raise ResourceExhausted(f"Expected a tensor of at most {MAX_BYTES} bytes; received the shape {list(shape)}.")
    if not size:
        return np.empty(shape, row.numpy)
    content = proto.tensor_content
    if row.layout is Layout.FIXED and not content:
        runs = getattr(proto, row.field)
        if len(runs) == 1 and len(runs[0]) == length:  # the usual answer of a server: one run, every value written
            return np.ndarray(shape, row.numpy, runs[0])
    values = _from_content(content, row, size) if content else _from_typed(proto, row, size)
    return _fit(values, size, row).reshape(shape)


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


def _exact(array: Array, dtype: np.dtype[Any]) -> bool:
    """Whether every value survives the conversion; int64 1 to uint8, for example."""
    if array.dtype.kind not in "iub" or dtype.kind not in "iuf":
        return False
    return bool(np.array_equal(array.astype(dtype).astype(array.dtype), array))


def _refuse_foreign_objects(array: Array) -> None:
    for item in array.ravel().tolist():  # array.flat ends at 32 dimensions
        if not isinstance(item, str | bytes):
            raise InvalidArgument(
                f"Expected only str or bytes in an array of objects; received {type(item).__name__}: {item!r:.80}."
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
    flat = np.ascontiguousarray(array).ravel()
    if row.layout is Layout.PATTERN:
        return varint.encode(flat.view(np.uint16))
    if flat.dtype.names is not None:
        flat = flat.view(row.numpy_name)
    return varint.encode(flat)


def _from_content(content: bytes, row: DType, size: int) -> Array:
    if row.layout is Layout.STRING:
        return _strings_from_content(content, size)
    expected = size * row.numpy.itemsize
    if len(content) != expected:
        raise InvalidArgument(
            f"Expected {expected} bytes of tensor_content for {size} values of {row.name}; received {len(content)}."
        )
    if row.name == "bool" and content.translate(None, b"\0\1"):
        raise InvalidArgument("Expected bytes of 0 and 1 in tensor_content of booleans; received others.")
    return np.frombuffer(content, row.numpy)


def _strings_from_content(content: bytes, size: int) -> Array:
    """The lengths of all strings as varints, then their bytes end to end."""
    view = memoryview(content)
    ends = np.flatnonzero(np.frombuffer(content, np.uint8) < 0x80)
    if ends.size < size:
        raise InvalidArgument(f"Expected {size} strings in tensor_content; received {len(content)} bytes.")
    start = int(ends[size - 1]) + 1
    lengths = varint.decode(content[:start])
    if bool((lengths < 0).any()) or start + sum(lengths.tolist()) != len(content):  # numpy's sum would wrap around
        raise InvalidArgument(f"Expected {size} strings to fill tensor_content; their lengths do not add up to it.")
    strings = np.empty(size, object)
    for index, length in enumerate(lengths.tolist()):
        strings[index] = bytes(view[start : start + length])
        start += length
    return strings


def _from_typed(proto: messages.TensorProto, row: DType, size: int) -> Array:
    if row.layout is Layout.STRING:
        return _object_array(list(proto.string_val))
    if row.layout is Layout.BYTES:
        return np.frombuffer(proto.float8_val, row.numpy)
    runs: list[bytes] = list(getattr(proto, row.field))
    packed = runs[0] if len(runs) == 1 else b"".join(runs)
    width = row.numpy.itemsize if row.layout is Layout.FIXED else 1
    if len(packed) < size * width:  # too few even at a byte a value: some may have been sent unpacked
        packed += _unpacked_values(proto, row)
    if row.layout is Layout.FIXED:
        itemsize, part = row.numpy.itemsize, _part(row)
        if len(packed) % part:
            raise InvalidArgument(f"Expected {row.field} in units of {part} bytes; received {len(packed)} bytes.")
        return np.frombuffer(packed[: len(packed) // itemsize * itemsize], row.numpy)
    numbers = varint.decode(packed)
    if row.layout is Layout.PATTERN:
        return numbers.astype(np.uint16).view(row.numpy)
    if row.name == "bool":
        return numbers != 0
    if row.field == "int_val":
        numbers = numbers.astype(np.int32)
    values = numbers.astype(row.numpy_name if row.numpy.names else row.numpy)
    return values.view(row.numpy)


def _unpacked_values(proto: messages.TensorProto, row: DType) -> bytes:
    """Values of the field that were sent one by one, made into a packed run; the parser keeps them as unknown."""
    fixed = row.layout is Layout.FIXED
    wire = {4: _WIRE_FIXED32, 8: _WIRE_FIXED64}[_part(row)] if fixed else _WIRE_VARINT
    unknown = UnknownFieldSet(proto)
    fields = (unknown[index] for index in range(len(unknown)))
    found = [f.data for f in fields if f.field_number == _FIELD_NUMBERS[row.field] and f.wire_type == wire]
    if fixed:
        return b"".join(value.to_bytes(_part(row), "little") for value in found)
    return varint.encode(np.array(found, np.uint64))


def _part(row: DType) -> int:
    """Bytes of one number on the wire; a complex value is two of them."""
    return row.numpy.itemsize // 2 if row.numpy.kind == "c" else row.numpy.itemsize


def _object_array(items: list[bytes]) -> Array:
    array = np.empty(len(items), object)
    array[:] = items
    return array


def _fit(values: Array, size: int, row: DType) -> Array:
    """Exactly `size` values: surplus dropped, the last one repeated, zeros or empty strings when there is none."""
    if values.size >= size:
        return values[:size]
    fitted = np.empty(size, row.numpy)
    fitted[: values.size] = values
    if values.size:
        fitted[values.size :] = values[-1]
    else:
        fitted[:] = b"" if row.layout is Layout.STRING else np.zeros((), row.numpy)
    return fitted
