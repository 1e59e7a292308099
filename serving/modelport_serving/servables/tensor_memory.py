"""numpy arrays ⇄ tensors in TensorFlow's memory.

Strings are laid out as `tensorflow/core/platform/ctstring.h` says, which custom operations are compiled against: 24
bytes a string, whose lowest two bits tell its kind. We write the kind that points into the tensor's own memory (made
for mapped files, and copied by whoever keeps it), so a tensor of ours is one block without a destructor. Short ones are
read in place, all others by the C API's functions.
"""

from __future__ import annotations

import ctypes
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from modelport import dtypes
from modelport.dtypes import STRING, Layout
from modelport.errors import InvalidArgument, ResourceExhausted, Unimplemented
from modelport.tensors import MAX_BYTES
from modelport_serving.servables.plain_memory import copy_array, copy_from, copy_to
from modelport_serving.servables.tensorflow_runtime import Api

Array = np.ndarray[Any, np.dtype[Any]]

_STRING_BYTES = 24
_SMALL, _OFFSET = 0, 2  # kinds
_LONGEST_STRING = 2**30 - 1  # bytes: the size has 30 bits
_HEADER = np.dtype([("size", "<u4"), ("offset", "<u4"), ("rest", "V16")])
_PIECE = 2**20  # bytes of strings that are joined without a turn for other threads


def to_tensor(api: Api, array: Array) -> int:
    """A new TF_Tensor with the array's values; to be deleted by the caller.

    Raises:
        InvalidArgument: TensorFlow has no such dtype, or a string is too long.
        ResourceExhausted: there is not enough memory.
    """
    row = dtypes.of_array(array)
    if row is STRING:
        return _string_tensor(api, array)
    flat = np.ascontiguousarray(array)
    tensor = _allocate(api, row.number, array.shape, flat.nbytes)
    if flat.nbytes:
        copy_array(api.TensorData(tensor), flat)
    return tensor


def to_array(api: Api, tensor: int) -> Array:
    """The values of a TF_Tensor: an array of its own, read-only; strings as an object array of bytes.

    Raises:
        Unimplemented: a dtype whose values no message can carry, such as a resource.
    """
    number = api.TensorType(tensor)
    row = dtypes.BY_NUMBER.get(number)
    if row is None:
        raise Unimplemented(f"Expected an output of a dtype that can be sent. Received: DataType number {number}.")
    shape = tuple(api.Dim(tensor, axis) for axis in range(api.NumDims(tensor)))
    if row.layout is Layout.STRING:
        return _strings(api, tensor, shape)
    size = _checked(api.TensorByteSize(tensor))
    array = np.empty(shape, row.numpy)
    if size != array.nbytes:
        raise Unimplemented(f"Expected {array.nbytes} bytes for {list(shape)} of {row.numpy}. Received: {size}.")
    if size:
        copy_from(api.TensorData(tensor), array)
    array.flags.writeable = False
    return array


def _checked(size: int) -> int:
    if size > MAX_BYTES:
        raise ResourceExhausted(
            f"Expected outputs of at most {MAX_BYTES} bytes, as a message can carry. There are {size}."
        )
    return size


def _allocate(api: Api, number: int, shape: tuple[int, ...], size: int) -> int:
    dims = (ctypes.c_int64 * len(shape))(*shape)
    tensor = api.AllocateTensor(number, dims, len(shape), size)
    if not tensor:
        raise ResourceExhausted(f"Expected {size} bytes of memory for a tensor of shape {list(shape)}; there are none.")
    return int(tensor)


def _string_tensor(api: Api, array: Array) -> int:
    items: list[bytes] = [i if isinstance(i, bytes) else str(i).encode() for i in array.ravel().tolist()]
    sizes = np.fromiter(map(len, items), np.uint64, len(items))
    if len(items) and int(sizes.max()) > _LONGEST_STRING:
        raise InvalidArgument(f"Expected strings of at most {_LONGEST_STRING} bytes. Received: {int(sizes.max())}")
    header = np.zeros(len(items), _HEADER)
    header["size"] = sizes << np.uint64(2) | np.uint64(_OFFSET)
    starts = header.nbytes + np.concatenate([np.zeros(1, np.uint64), np.cumsum(sizes + np.uint64(1))])
    offsets = starts[:-1] - np.arange(len(items), dtype=np.uint64) * np.uint64(_STRING_BYTES)
    if len(items) and int(offsets.max()) >= 2**32:
        raise ResourceExhausted("Expected strings of at most 4 GiB in one tensor.")
    header["offset"] = offsets
    tensor = _allocate(api, STRING.number, array.shape, int(starts[-1]))
    copy_to(api.TensorData(tensor), itertools.chain([header.tobytes()], _pieces(items)))
    return tensor


def _pieces(items: list[bytes]) -> Iterator[bytes]:
    """The strings one after the other, each with a NUL behind it, as C strings have."""
    begin = size = 0
    for end, item in enumerate(items):
        if len(item) >= _PIECE or size >= _PIECE:
            if end > begin:
                yield b"\0".join([*items[begin:end], b""])
            begin, size = end, 0
        if len(item) >= _PIECE:
            yield item
            yield b"\0"
            begin = end + 1
        else:
            size += len(item) + 1
    yield b"\0".join([*items[begin:], b""])


def _strings(api: Api, tensor: int, shape: tuple[int, ...]) -> Array:
    array = np.empty(shape, object)
    if not array.size:
        return array
    begin = api.TensorData(tensor)
    raw = ctypes.string_at(begin, _checked(array.size * _STRING_BYTES))
    items = []
    for position in range(0, len(raw), _STRING_BYTES):
        first = raw[position]
        if first & 3 == _SMALL:
            items.append(raw[position + 1 : position + 1 + (first >> 2)])
        else:
            at = begin + position
            items.append(ctypes.string_at(api.StringGetDataPointer(at), _checked(api.StringGetSize(at))))
    array.reshape(-1)[:] = items
    return array
