"""TFRecord files: records with their lengths and checksums.

    length uint64 | masked CRC-32C of the length | data | masked CRC-32C of the data        (all little-endian)

Source: `tensorflow/core/lib/io/record_writer.h`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from modelport.errors import DataLoss

_POLYNOMIAL = 0x82F63B78  # CRC-32C, reflected
_MASK_DELTA = 0xA282EAD8
_LONG = 4096  # bytes from which on the checksum is computed in lanes
_LANE = 1024  # bytes of a lane


def read(path: Path) -> Iterator[bytes]:
    """The records of a file, in order.

    Raises:
        DataLoss: the file is no TFRecord, is cut short, or a checksum is not that of its bytes.
    """
    with path.open("rb") as file:
        position = 0
        while head := file.read(12):
            if len(head) < 12 or crc32c(head[:8]) != _unmasked(head[8:]):
                raise _corrupted(position)
            (length,) = struct.unpack("<Q", head[:8])
            data = file.read(length) if length <= path.stat().st_size else b""
            tail = file.read(4)
            if len(data) < length or len(tail) < 4:
                raise DataLoss(f"truncated record at {position}. Please verify your warmup data is in TFRecord format.")
            if crc32c(data) != _unmasked(tail):
                raise _corrupted(position)
            yield data
            position += 16 + length


def crc32c(data: bytes) -> int:
    """The CRC-32C of some bytes: long ones in lanes beside one another, which are then put together."""
    if len(data) < _LONG:
        return _advance(0xFFFFFFFF, data) ^ 0xFFFFFFFF
    lanes = len(data) // _LANE
    table = _table()
    columns = np.frombuffer(data, np.uint8, lanes * _LANE).reshape(lanes, _LANE).T
    states = np.zeros(lanes, np.uint32)
    states[0] = 0xFFFFFFFF
    for column in columns:
        states = table[(states ^ column) & 0xFF] ^ (states >> np.uint32(8))
    shift = _shift_by_a_lane()
    state = 0
    for lane in states.tolist():
        moved = int(shift[0][state & 0xFF] ^ shift[1][state >> 8 & 0xFF])
        state = moved ^ int(shift[2][state >> 16 & 0xFF] ^ shift[3][state >> 24]) ^ lane
    return _advance(state, data[lanes * _LANE :]) ^ 0xFFFFFFFF


def _advance(state: int, data: bytes) -> int:
    table = _table().tolist()
    for byte in data:
        state = table[(state ^ byte) & 0xFF] ^ (state >> 8)
    return state


@cache
def _table() -> np.ndarray[Any, np.dtype[np.uint32]]:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(_POLYNOMIAL), table >> 1).astype(np.uint32)
    return table


@cache
def _shift_by_a_lane() -> list[list[int]]:
    """What a state becomes behind a lane of zeros, by each of its four bytes."""
    zeros = bytes(_LANE)
    bits = [_advance(1 << bit, zeros) for bit in range(32)]
    return [[_combined(bits[8 * place : 8 * place + 8], byte) for byte in range(256)] for place in range(4)]


def _combined(bits: list[int], byte: int) -> int:
    total = 0
    for place, bit in enumerate(bits):
        if byte >> place & 1:
            total ^= bit
    return total


def _unmasked(data: bytes) -> int:
    (masked,) = struct.unpack("<I", data)
    rotated = (masked - _MASK_DELTA) & 0xFFFFFFFF
    return (rotated >> 17 | rotated << 15) & 0xFFFFFFFF


def _corrupted(position: int) -> DataLoss:
    return DataLoss(f"corrupted record at {position}. Please verify your warmup data is in TFRecord format.")
