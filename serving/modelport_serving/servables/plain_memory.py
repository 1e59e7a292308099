"""Copies of memory during which other threads run.

`ctypes.memmove`, `bytes.join` and their kind hold the interpreter while they copy. Where the system has to find new
memory first, that is 60 ms for 100 MB, and nobody else is answered meanwhile.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable
from typing import Any

import numpy as np

Piece = bytes | np.ndarray[Any, np.dtype[np.uint8]]

_memmove = ctypes.CDLL(None).memmove
_memmove.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
_memmove.restype = ctypes.c_void_p

# The way of Python's C API to make bytes and fill them afterwards.
_new_bytes = ctypes.pythonapi.PyBytes_FromStringAndSize
_new_bytes.argtypes = [ctypes.c_void_p, ctypes.c_ssize_t]
_new_bytes.restype = ctypes.py_object
_address_of_bytes = ctypes.pythonapi.PyBytes_AsString
_address_of_bytes.argtypes = [ctypes.py_object]
_address_of_bytes.restype = ctypes.c_void_p


def copy_to(address: int, pieces: Iterable[Piece]) -> None:
    """Copy pieces to an address, one behind the other; there has to be room. Arrays are flat and contiguous."""
    for piece in pieces:
        _memmove(address, piece if isinstance(piece, bytes) else piece.ctypes.data, len(piece))
        address += len(piece)


def copy_array(address: int, array: np.ndarray[Any, np.dtype[Any]]) -> None:
    """Copy a contiguous array to an address; there has to be room."""
    _memmove(address, array.ctypes.data, array.nbytes)


def copy_from(address: int, array: np.ndarray[Any, np.dtype[Any]]) -> None:
    """Fill a contiguous array with what is at an address."""
    _memmove(array.ctypes.data, address, array.nbytes)


def joined(pieces: list[Piece]) -> bytes:
    """`b"".join`, during which other threads run."""
    size = sum(map(len, pieces))
    if not size:
        return b""  # an object that others have too
    whole: bytes = _new_bytes(None, size)
    copy_to(_address_of_bytes(whole), pieces)
    return whole
