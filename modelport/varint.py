"""Packed varints of the protobuf wire format ⇄ numpy, without a Python number for each value.

A varint holds 7 bits a byte, lowest first; the top bit says that more bytes follow; ten bytes at most. Negative int32
and int64 values are written as 64 bit two's complement. Source: protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from modelport.errors import InvalidArgument
from modelport.wire import messages

_MORE = 0x80
_LOW = 0x7F
# What is read and written at a time, in some milliseconds: protobuf's parser holds the interpreter meanwhile.
_PIECE = 2**20  # bytes
_VALUES = 2**16


def decode(packed: bytes | memoryview) -> NDArray[np.int64]:
    """Read a run of varints.

    Runs of one-byte varints (flags, digits, small class ids) are read by numpy; others by protobuf's own parser, whose
    repeated field hands its buffer to numpy.

    Args:
        packed: the bytes of a packed field; may be empty.

    Returns:
        The values, shape (n,), as int64; view as uint64 for unsigned 64 bit fields.

    Raises:
        InvalidArgument: the run ends inside a varint, or one is longer than ten bytes.
    """
    if len(packed) <= 2 * _PIECE:
        return _decode(packed)
    pieces = []
    begin = 0
    while begin < len(packed):
        end = begin + _PIECE
        while end < len(packed) and packed[end - 1] >= _MORE:
            end += 1
        pieces.append(_decode(packed[begin:end]))
        begin = end
    return np.concatenate(pieces)


def _decode(packed: bytes | memoryview) -> NDArray[np.int64]:
    raw = np.frombuffer(packed, np.uint8)
    if not raw.size or raw.max() < _MORE:
        return raw.astype(np.int64)
    tag = b"\x0a" + encode(np.array([len(packed)]))
    try:
        parsed = messages.Int64List.FromString(b"".join([tag, packed]))
    except DecodeError as error:
        raise InvalidArgument(
            f"Expected a run of whole varints in a packed field of {len(packed)} bytes; it is cut off or malformed."
        ) from error
    return np.array(parsed.value, np.int64)


def encode(values: NDArray[np.generic]) -> bytes:
    """Write integers or booleans of any width (shape (n,)) as a run of varints."""
    if values.size > 2 * _VALUES:
        return b"".join(encode_pieces(values))
    if not values.size:
        return b""
    wide = values.astype(np.uint64) if values.dtype.kind == "u" else values.astype(np.int64).view(np.uint64)
    largest = int(wide.max())
    if largest < _MORE:
        return wide.astype(np.uint8).tobytes()
    places = (largest.bit_length() + 6) // 7
    groups = np.empty((wide.size, places), np.uint8)
    used = np.empty((wide.size, places), np.bool_)
    for place in range(places):
        groups[:, place] = wide & np.uint64(_LOW)
        used[:, place] = wide > 0
        wide >>= np.uint64(7)
    used[:, 0] = True
    groups[:, :-1] |= used[:, 1:].view(np.uint8) << 7
    return groups[used].tobytes()


def encode_pieces(values: NDArray[np.generic]) -> list[bytes]:
    """`encode` in pieces that make up the run, each written in some milliseconds."""
    return [encode(values[at : at + _VALUES]) for at in range(0, values.size, _VALUES)]


def encode_one(value: int) -> bytes:
    """A single number that is not negative, such as a tag or a length."""
    return encode(np.array([value]))
