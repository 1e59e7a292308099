"""Numbers as the real server writes them: a float with six significant digits where these read back as the same
value, else with nine (float) or seventeen (double); `.0` on whole numbers; NaN, Infinity and -Infinity as bare words.

A large float array takes one call of orjson a piece: it writes the shortest digits of a double, and the double nearest
to a decimal of nine digits has that decimal for its shortest digits. So the numbers are rounded to six or nine digits
in numpy and handed over. Measured on 32 rows of 1000 probabilities: 1.5 ms, against 17 ms with two format calls each.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np
import orjson

from modelport_serving.rest.json.layout import Marks
from modelport_serving.rest.json.tensor_values import Array

PIECE = 2**15  # numbers that are written at a time, in a millisecond or two: others then have their turn
_SMALL = 48  # up to here, format calls are quicker than numpy's two dozen
_FORMATTED = 2**12  # numbers that are formatted by one call: two milliseconds
# `_many_floats` writes what lies in these decades, except where orjson's spelling is another one.
_LOWEST, _HIGHEST = 1e-14, 1e6
_DECADES = np.array([float(f"1e{exponent}") for exponent in range(-14, 6)])
# The factors that make nine digits, by how many decades a value has reached. All are exact as doubles.
_NINE_DIGITS = np.array([1e22, *(float(f"1e{exponent}") for exponent in range(22, 2, -1))])
_FIXED_FROM, _FIXED_BELOW = 1e-5, 1e-4  # orjson writes 0.000012 where the real server has 1.2e-05
_TIE = 1e-5  # this near to a tie in the ninth digit, a product of doubles does not decide
_BETWEEN = b"\xff"  # between texts that are taken apart again
_HOLDERS = bytes(range(0x80, 0xC0))  # stand for the marks of each level, while those of others are replaced
_WORDS = {b"nan": b"NaN", b"inf": b"Infinity", b"-inf": b"-Infinity"}


def write(array: Array, marks: Marks, out: list[bytes], level: int = 0) -> None:
    """Append the text of an array of numbers, in pieces.

    Args:
        array: of one dimension or more, with at least one value; floats of 32 or 64 bits, integers or bools.
        marks: how it is laid out.
        out: takes the pieces.
        level: of the array's first dimension.
    """
    opening, separator, closing = marks(level)
    out.append(opening)
    if array[0].size > PIECE:
        for index, element in enumerate(array):
            if index:
                out.append(separator)
            write(element, marks, out, level + 1)
    else:
        step = PIECE // array[0].size
        for at in range(0, len(array), step):
            if at:
                out.append(separator)
            out.append(_elements(array[at : at + step], marks, level, separator))
    out.append(closing)


def rows(array: Array, marks: Marks) -> Iterator[bytes]:
    """The text of each element of an array's first dimension."""
    if array[0].size > PIECE:
        for element in array:
            out: list[bytes] = []
            write(element, marks, out)
            yield b"".join(out)
        return
    step = PIECE // array[0].size
    for at in range(0, len(array), step):
        yield from _elements(array[at : at + step], marks, -1, _BETWEEN).split(_BETWEEN)


def float_texts(values: Sequence[float]) -> list[bytes]:
    """The texts of float32 values, which are given as the doubles of the same value."""
    return _texts(values, "f", b"%.9g")


def double_texts(values: Sequence[float]) -> list[bytes]:
    """The texts of float64 values."""
    return _texts(values, "d", b"%.17g")


def _elements(piece: Array, marks: Marks, level: int, between: bytes) -> bytes:
    """The elements of the first dimension of some ten thousand numbers at most.

    Args:
        piece: the numbers.
        marks: how they are laid out.
        level: of the first dimension.
        between: what stands between its elements.
    """
    inner = piece.ndim - 1
    opening = b"".join(marks(level + axis)[0] for axis in range(1, inner + 1))
    closing = b"".join(marks(level + axis)[2] for axis in range(inner, 0, -1))
    if piece.dtype == np.float64 or (piece.dtype == np.float32 and piece.size <= _SMALL):
        texts = (double_texts if piece.dtype == np.float64 else float_texts)(piece.reshape(-1).tolist())
        for axis in range(inner, 0, -1):
            begin, separator, end = marks(level + axis)
            size = piece.shape[axis]
            texts = [begin + separator.join(texts[i : i + size]) + end for i in range(0, len(texts), size)]
        return between.join(texts)
    text = _many(piece)[1 + inner : -1 - inner]
    for axis in range(inner):  # from the outermost: most brackets first
        text = text.replace(b"]" * (inner - axis) + b"," + b"[" * (inner - axis), _HOLDERS[axis : axis + 1])
    text = text.replace(b",", marks(level + inner)[1] if inner else between)
    for axis in range(inner):
        ends = b"".join(marks(level + a)[2] for a in range(inner, axis, -1))
        begins = b"".join(marks(level + a)[0] for a in range(axis + 1, inner + 1))
        separator = marks(level + axis)[1] if axis else between
        text = text.replace(_HOLDERS[axis : axis + 1], ends + separator + begins)
    return opening + text + closing


def _many(piece: Array) -> bytes:
    """Nested arrays of numbers, without spaces."""
    if piece.dtype == np.float32:
        return _many_floats(piece)
    return orjson.dumps(np.ascontiguousarray(piece), option=orjson.OPT_SERIALIZE_NUMPY)


def _texts(values: Sequence[float], kind: str, long: bytes) -> list[bytes]:
    if len(values) > _FORMATTED:
        pieces = [values[at : at + _FORMATTED] for at in range(0, len(values), _FORMATTED)]
        return list(chain.from_iterable(_texts(piece, kind, long) for piece in pieces))
    texts = (b"%.6g " * len(values) % tuple(values)).split()
    numbers = struct.Struct(f"{len(values)}{kind}")
    for index, read in enumerate(numbers.unpack(numbers.pack(*map(float, texts)))):  # as the type narrows them
        if read != values[index]:
            texts[index] = long % values[index]
    return [text if b"." in text or b"e" in text else _WORDS.get(text) or text + b".0" for text in texts]


def _many_floats(array: np.ndarray[Any, np.dtype[np.float32]]) -> bytes:
    with np.errstate(invalid="ignore"):  # what numpy says of a signalling NaN
        values = array.astype(np.float64)
    magnitudes = np.abs(values)
    usual = (magnitudes >= _LOWEST) & (magnitudes < _HIGHEST)
    magnitudes[~usual] = 0.0
    nine = _NINE_DIGITS[np.searchsorted(_DECADES, magnitudes, side="right")]
    scaled = magnitudes * nine
    digits = np.rint(scaled)
    usual &= np.abs(scaled - digits) < 0.5 - _TIE
    six = nine / 1000.0
    short = np.rint(magnitudes * six) / six
    rounded = np.where(short.astype(np.float32) == magnitudes, short, digits / nine)
    usual &= (rounded < _FIXED_FROM) | (magnitudes >= _FIXED_BELOW)
    np.copysign(rounded, values, out=rounded)
    odd = ~usual & (values != 0.0)
    rounded[odd] = np.nan  # orjson writes null
    text = orjson.dumps(rounded, option=orjson.OPT_SERIALIZE_NUMPY)
    first, *rest = text.split(b"e")
    if rest:  # two digits to an exponent, where orjson writes one
        text = first + b"".join([b"e" + tail if tail[2:3].isdigit() else b"e-0" + tail[1:] for tail in rest])
    odd_values = values[odd].tolist()
    if not odd_values:
        return text
    pieces = text.split(b"null")
    return b"".join(chain.from_iterable(zip(pieces, [*float_texts(odd_values), b""], strict=True)))
