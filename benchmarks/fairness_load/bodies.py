"""Large JSON bodies for the model's signatures, with what they come to; made of one piece that is repeated."""

from __future__ import annotations

import base64
import gzip
import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np

ROW = 100  # numbers of a row
PIECE_ROWS = 1000  # rows of the piece that is repeated
SHORT_TEXT, LONG_TEXT = 12, 1000  # bytes of a short string, and of one that travels as base64
RAGGED = [[0.5, 1.5], [2.5]]


@dataclass(frozen=True)
class Body:
    """A body and its answer.

    Args:
        data: as it is sent.
        count: values that the model sees; of a body that is refused, 0.
        total: their sum, or that of the lengths of strings.
        status: of HTTP.
        headers: beside the length.
    """

    data: bytes
    count: int
    total: float
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


def floats(size: int) -> Body:
    """Rows of random floats of nine digits, `size` bytes in all."""
    return _rows("floats", size, np.random.default_rng(0).random((PIECE_ROWS, ROW)).round(9))


def integers(size: int) -> Body:
    """Rows of random integers of up to twelve digits."""
    return _rows("integers", size, np.random.default_rng(0).integers(10**12, size=(PIECE_ROWS, ROW)))


def squeezed(size: int) -> Body:
    """The floats, sent as gzip; `size` is what they inflate to."""
    plain = floats(size)
    return Body(gzip.compress(plain.data, 1), plain.count, plain.total, headers={"Content-Encoding": "gzip"})


def one_string(size: int) -> Body:
    """One string, with an escape now and then."""
    text = "thirty-one letters and a line.\\n"
    times = size // len(text)
    return Body(_instances("strings", f'"{text * times}"'), 1, (len(text) - 1) * times)


def short_strings(count: int) -> Body:
    """Many short strings."""
    text = "abcdefghijkl"[:SHORT_TEXT]
    return Body(_instances("strings", _repeated(f'"{text}"', count)), count, len(text) * count)


def base64_strings(size: int) -> Body:
    """Strings of a thousand bytes as base64, `size` bytes of body in all."""
    text = base64.b64encode(np.random.default_rng(0).bytes(LONG_TEXT)).decode()
    count = size // len(text)
    return Body(_instances("strings", _repeated(f'{{"b64": "{text}"}}', count)), count, LONG_TEXT * count)


def pairs(members: int) -> Body:
    """Rows as objects of two members each."""
    rows = members // 2
    return Body(_instances("pairs", _repeated('{"a": 0.25, "b": 1.5}', rows)), 2 * rows, 1.75 * rows)


def unknown_keys(members: int) -> Body:
    """One object with so many members that no signature has; it is refused."""
    listed = ", ".join(f'"key {number}": {number}.5' for number in range(members))
    return Body(f'{{"signature_name": "floats", "inputs": {{{listed}}}}}'.encode(), 0, 0, 400)


def deep(size: int, depth: int) -> Body:
    """Values that stand in arrays within arrays, `depth` of them, as the dimensions of one tensor."""
    value = "[" * (depth - 1) + "0.5" + "]" * (depth - 1)
    count = size // (len(value) + 2)
    return Body(_instances("floats", _repeated(value, count)), count, 0.5 * count)


def too_deep(size: int, depth: int) -> Body:
    """Arrays within arrays, nested further than tensors are; refused."""
    value = "[" * (depth - 1) + "]" * (depth - 1)
    return Body(_instances("floats", _repeated(value, size // (len(value) + 2))), 0, 0, 400)


def ragged(size: int) -> Body:
    """Rows of unequal lengths, all over; refused."""
    value = json.dumps(RAGGED)
    return Body(_instances("floats", _repeated(value, size // (len(value) + 2))), 0, 0, 400)


def _rows(signature: str, size: int, rows: np.ndarray[Any, np.dtype[Any]]) -> Body:
    piece = json.dumps(rows.tolist())[1:-1]
    times = max(1, size // (len(piece) + 2))
    return Body(_instances(signature, _repeated(piece, times)), rows.size * times, float(rows.sum()) * times)


def _repeated(piece: str, times: int) -> str:
    return (f"{piece}, " * times)[:-2]


def _instances(signature: str, text: str) -> bytes:
    return f'{{"signature_name": "{signature}", "instances": [{text}]}}'.encode()
