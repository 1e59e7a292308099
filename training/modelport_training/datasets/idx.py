"""The idx format of the MNIST family: two zero bytes, a type code, the rank, the sizes (big-endian), the values.

Source: http://yann.lecun.com/exdb/mnist/, "the IDX file format".
"""

from __future__ import annotations

import math
import struct

import numpy as np

from modelport.errors import DataLoss, InvalidArgument
from modelport_training.datasets.dataset import Array

UNSIGNED_BYTE = 0x08


def decode(data: bytes, name: str) -> Array:
    """Read an idx file of unsigned bytes.

    Args:
        data: the whole file, uncompressed.
        name: of the file, for errors.

    Returns:
        A read-only uint8 array of the shape that the file declares.

    Raises:
        DataLoss: this is no idx file, or it is cut short or too long.
    """
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] != UNSIGNED_BYTE or data[3] == 0:
        raise DataLoss(
            f"Expected {name!r} to be an idx file of unsigned bytes, beginning with 00 00 08. "
            f"Received: {data[:4].hex(' ') or 'nothing'}. Remove it, so that it is fetched again."
        )
    rank = data[3]
    header = 4 + 4 * rank
    if len(data) < header:
        raise DataLoss(f"Expected {header} bytes of header in {name!r}. Received: {len(data)}. It is cut short.")
    shape = struct.unpack_from(f">{rank}I", data, 4)
    expected = header + math.prod(shape)
    if len(data) != expected:
        raise DataLoss(
            f"Expected {expected} bytes in {name!r}, which declares the shape {shape}. Received: {len(data)}. "
            "Remove it, so that it is fetched again."
        )
    return np.frombuffer(data, np.uint8, offset=header).reshape(shape)


def encode(array: Array) -> bytes:
    """Write a uint8 array as an idx file; the inverse of `decode`.

    Raises:
        InvalidArgument: the array is not uint8 or has no dimension.
    """
    if array.dtype != np.uint8 or array.ndim == 0:
        raise InvalidArgument(f"Expected a uint8 array of rank 1 or more. Received: {array.dtype}, rank {array.ndim}.")
    return struct.pack(f">HBB{array.ndim}I", 0, UNSIGNED_BYTE, array.ndim, *array.shape) + array.tobytes()
