"""TensorProto → numpy arrays.

What is accepted follows the real server: fewer values than elements repeat the last one, none at all mean zeros or
empty strings, surplus values are dropped, a missing shape is a scalar, values in another type's field are not seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from google.protobuf.unknown_fields import UnknownFieldSet

from modelport import dtypes, varint
from modelport.dtypes import DType, Layout
from modelport.errors import InvalidArgument, ResourceExhausted
from modelport.tensor_shapes import shape_and_size
from modelport.tensors.fields import CONTENT_NUMBER, FIELD_NUMBERS, Apart
from modelport.wire import messages

Array = np.ndarray[Any, np.dtype[Any]]

# The API's own bound on a message; a short value list may not blow up past it.
MAX_BYTES = 2**31 - 1
_WIRE_VARINT, _WIRE_FIXED64, _WIRE_FIXED32 = 0, 1, 5


def decode(proto: messages.TensorProto, apart: Apart | None = None) -> Array:
    """Read a TensorProto into an array of its shape; strings become an object array of bytes.

    The array may share the message's memory and then is read-only.

    Args:
        proto: the message.
        apart: values that are not in it, of a field that it lacks, where it has no other values.

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
    content: bytes | memoryview = proto.tensor_content
    runs: Sequence[bytes | memoryview] = []
    if apart is None:
        runs = () if content or row.layout is Layout.BYTES else getattr(proto, row.field)
    elif apart.number == CONTENT_NUMBER:
        content = apart.value
    elif apart.number == FIELD_NUMBERS[row.field]:
        runs = [apart.value]
    if row.layout is Layout.FIXED and not content:
        run = runs[0] if len(runs) == 1 else b""  # each look at it is a copy
        if len(run) == length:  # the usual answer of a server: one run, every value written
            return np.ndarray(shape, row.numpy, run)
    values = _from_content(content, row, size) if content else _from_typed(proto, row, size, runs)
    return _fit(values, size, row).reshape(shape)


def _from_content(content: bytes | memoryview, row: DType, size: int) -> Array:
    if row.layout is Layout.STRING:
        return _strings_from_content(content, size)
    expected = size * row.numpy.itemsize
    if len(content) != expected:
        raise InvalidArgument(
            f"Expected {expected} bytes of tensor_content for {size} values of {row.name}; received {len(content)}."
        )
    if row.name == "bool" and np.frombuffer(content, np.uint8).max(initial=0) > 1:
        raise InvalidArgument("Expected bytes of 0 and 1 in tensor_content of booleans; received others.")
    return np.frombuffer(content, row.numpy)


def _strings_from_content(content: bytes | memoryview, size: int) -> Array:
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


def _from_typed(proto: messages.TensorProto, row: DType, size: int, runs: Sequence[bytes | memoryview]) -> Array:
    """The values of a typed field: the runs, and of some dtypes what else the message has."""
    if row.layout is Layout.STRING:
        return _object_array(list(proto.string_val))
    if row.layout is Layout.BYTES:
        return np.frombuffer(runs[0] if runs else proto.float8_val, row.numpy)
    packed = runs[0] if len(runs) == 1 else b"".join(runs)
    width = row.numpy.itemsize if row.layout is Layout.FIXED else 1
    if len(packed) < size * width:  # too few even at a byte a value: some may have been sent unpacked
        packed = b"".join([packed, _unpacked_values(proto, row)])
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
    found = [f.data for f in fields if f.field_number == FIELD_NUMBERS[row.field] and f.wire_type == wire]
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
