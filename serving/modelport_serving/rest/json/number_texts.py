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
_WORDS = {b"nan": b"NaN", b"inf": b"Infinity", b"-inf": b"-Infinity"}


def row_texts(array: Array, separator: bytes) -> Iterator[list[bytes]]:
    """The numbers of each innermost row, in pieces: `1.0, 2.5`.

    Args:
        array: of one dimension or more, with at least one value; floats of 32 or 64 bits, integers or bools.
        separator: a comma, and what follows it.
    """
    rows = array.reshape(-1, array.shape[-1])
    width = rows.shape[1]
    step = max(PIECE // width, 1)
    for at in range(0, len(rows), step):
        if width > PIECE:
            pieces = [_rows(rows[at : at + 1, begin : begin + PIECE])[0] for begin in range(0, width, PIECE)]
            yield [text.replace(b",", separator) + separator for text in pieces[:-1]] + [
                pieces[-1].replace(b",", separator)
            ]
        else:
            for text in _rows(rows[at : at + step]):
                yield [text.replace(b",", separator)]


def float_texts(values: Sequence[float]) -> list[bytes]:
    """The texts of float32 values, which are given as the doubles of the same value."""
    return _texts(values, "f", b"%.9g")


def double_texts(values: Sequence[float]) -> list[bytes]:
    """The texts of float64 values."""
    return _texts(values, "d", b"%.17g")


def _rows(rows: Array) -> list[bytes]:
    """The texts of some rows of numbers, shape (n, width), of some ten thousand numbers in all at most."""
    if rows.dtype == np.float64 or (rows.dtype == np.float32 and rows.size <= _SMALL):
        write = double_texts if rows.dtype == np.float64 else float_texts
        texts, width = write(rows.reshape(-1).tolist()), rows.shape[1]
        return [b",".join(texts[at : at + width]) for at in range(0, len(texts), width)]
    if rows.dtype == np.float32:
        return _many_floats(rows)[2:-2].split(b"],[")
    return orjson.dumps(np.ascontiguousarray(rows), option=orjson.OPT_SERIALIZE_NUMPY)[2:-2].split(b"],[")


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
