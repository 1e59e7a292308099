"""What must hold for the tensor codec on any bytes whatever; used by hypothesis, by the fuzzer and by the replay.

Bytes are a PredictRequest, a TensorProto or neither. A tensor is decoded into the shape and dtype that it declares, or
refused with a ModelportError; what was decoded survives being written and read again. Anything else escapes as the
exception that it is.
"""

import math
from itertools import pairwise

import numpy as np
from google.protobuf.message import DecodeError

from modelport import dtypes, tensors
from modelport.dtypes import Layout
from modelport.errors import ModelportError
from modelport.wire import messages

# A few bytes may stand for 2 GiB, by the API's rules; trying that out would only slow the search down.
TOO_LARGE_TO_TRY = 1 << 16


def check(data: bytes) -> None:
    """Read the bytes as a request and as a tensor."""
    try:
        request = messages.PredictRequest.FromString(data)
    except DecodeError:
        pass
    else:
        for alias in request.inputs:
            check_tensor(request.inputs[alias])
    try:
        proto = messages.TensorProto.FromString(data)
    except DecodeError:
        return
    check_tensor(proto)


def check_tensor(proto: messages.TensorProto) -> None:
    """Decode one tensor."""
    dims = () if proto.tensor_shape.unknown_rank else tuple(dim.size for dim in proto.tensor_shape.dim)
    row = dtypes.BY_NUMBER.get(proto.dtype)
    if row is not None and all(size >= 0 for size in dims):
        length = math.prod(dims) * row.numpy.itemsize
        if TOO_LARGE_TO_TRY < length <= tensors.MAX_BYTES:
            return
    try:
        array = tensors.decode(proto)
    except ModelportError:
        return
    assert row is not None, f"a tensor of type {proto.dtype} was decoded"
    assert array.shape == dims
    assert array.dtype == row.numpy
    if row.layout is Layout.STRING and proto.tensor_content and array.size:
        assert array.ravel().tolist() == _strings(proto.tensor_content, array.size)
    again = tensors.decode(messages.TensorProto.FromString(tensors.encode(array, row, typed=True).SerializeToString()))
    assert same(array, again), f"{array!r} was read back as {again!r}"


def same(left: np.ndarray, right: np.ndarray) -> bool:
    """Equal in shape, dtype and values; NaN is NaN, and a bool or 4 bit byte is what it means."""
    if left.shape != right.shape or left.dtype != right.dtype:
        return False
    return (
        left.dtype != object and left.tobytes() == right.tobytes()
    ) or left.ravel().tolist() == right.ravel().tolist()


def _strings(content: bytes, size: int) -> list[bytes]:
    """Strings in tensor_content as the format has them: all lengths as varints, then the bytes; by the book."""
    lengths, position = [], 0
    for _ in range(size):
        length = shift = 0
        while True:
            byte = content[position]
            position += 1
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        lengths.append(length % 2**64)
    assert position + sum(lengths) == len(content), f"lengths {lengths} were accepted for {len(content)} bytes"
    ends = np.cumsum([position, *lengths]).tolist()
    return [content[start:end] for start, end in pairwise(ends)]
