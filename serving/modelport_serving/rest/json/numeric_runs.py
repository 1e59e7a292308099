"""Arrays of numbers in bulk: text → one numpy array, without a look at each number in Python.

A `Run` is a member's value that is an array of numbers and of such arrays and nothing else: what `instances` and
`inputs` usually are. The numbers of a long one are read by simdjson straight into a buffer, those of a short one by
orjson into lists; both round correctly. A very long one is read in pieces of some milliseconds each, so that a thread
that reads it leaves the others their turns. Whatever does not come out as an array of equal rows is left to the exact
path, which finds the words for what is wrong.
Measured on 32 rows of 784 floats, to the array: 0.4 ms by simdjson, 1.0 ms by orjson and numpy, 3.8 ms for the standard
library's parser alone.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
import simdjson

from modelport import dtypes
from modelport_serving.rest.json.content import Content
from modelport_serving.rest.json.tensor_values import INTEGER_RANGES, MAX_RANK, Array, narrowed

# An array that `array_of` gives was nested no deeper than this: its rank, and the three levels that may be around it.
# The depth of other runs is not known; whoever cannot use one reads the text again and finds out.
DEEPEST = MAX_RANK + 3

_BEGINNING = 64  # bytes in which the brackets of the first row are, if nobody indents by more
_SPARSE = 256  # bytes from bracket to bracket from which on looking for each is the quicker count
_LONG = 4096  # bytes of text from which on simdjson is the quicker one
_PIECE = 2**20  # bytes of text that are read at a time: two milliseconds
_LISTS = 256  # runs whose lists are made an array at a time
_ALL_BUT_MARKS = b"0123456789+-.eE \t\r\n"
_NO_BRACKETS = bytes.maketrans(b"[]", b"  ")
_DIGITS = bytes(c if c in b"[]," else ord("0") for c in range(256))
_BUFFERS = {"i": np.dtype(np.int64), "u": np.dtype(np.uint64), "d": np.dtype(np.float64)}
_threads = threading.local()


@dataclass(frozen=True, slots=True)
class Run:
    """An array of numbers: its length as text, and what a parser made of it."""

    length: int
    values: list[Any] | Array  # nested lists of ints and floats, or an array of int64, uint64 or float64


def take(body: Content, start: int) -> Run | None:
    """The run that is a member's value and begins with the bracket at `start`; None when that array is no run.

    The value of a member ends before the next quotation mark or closing brace, so successive calls look at each byte
    of the body once.
    """
    quote = body.find(b'"', start)
    brace = body.find(b"}", start, quote if quote >= 0 else len(body))
    stop = brace if brace >= 0 else quote if quote >= 0 else len(body)
    end = body.rfind(b"]", start, stop) + 1
    try:
        if end - start > 2 * _PIECE:
            return Run(end - start, _very_long(body, start, end))
        text = body[start:end]
        if len(text) >= _LONG:
            return Run(len(text), _long(text))
        if b"t" in text or b"f" in text or b"n" in text:  # true, false, null
            return None
        return Run(len(text), orjson.loads(text))
    except (TypeError, ValueError, RuntimeError):  # orjson's errors are of the second, simdjson's of each kind
        return None


def array_of(runs: Sequence[Run], dtype: int) -> Array | None:
    """The array of runs of equal shape.

    Args:
        runs: one or more.
        dtype: TensorFlow DataType number to read them as.

    Returns:
        The array, shape (len(runs), ...), or None when the exact path must decide: ragged, empty, or a literal that the
        type does not take.
    """
    name = dtypes.BY_NUMBER[dtype].name if dtype in dtypes.BY_NUMBER else ""
    try:
        array = _stacked(runs)
    except (ValueError, IndexError):  # ragged, or of more dimensions than numpy has
        return None
    if not array.size:
        return None
    if name in INTEGER_RANGES:
        return _integers(array, name)
    if name in ("float", "double"):
        return narrowed(array, name)
    return None


def _stacked(runs: Sequence[Run]) -> Array:
    if len(runs) == 1 and isinstance(runs[0].values, np.ndarray):
        return runs[0].values[None]
    if len(runs) <= _LISTS:
        return np.array([run.values for run in runs])
    pieces = [np.array([run.values for run in runs[at : at + _LISTS]]) for at in range(0, len(runs), _LISTS)]
    kinds = {piece.dtype for piece in pieces}
    if len(kinds) > 1:  # where integers and floats, or integers of both 64 bit types, meet
        pieces = [piece.astype(np.float64) for piece in pieces]
    return np.concatenate(pieces)


def _long(text: bytes) -> Array:
    """The array of a long run, of int64, uint64 or float64, whichever its literals ask for.

    Raises:
        TypeError, ValueError, RuntimeError: it is no array of numbers, or it is ragged.
    """
    values = _parser().parse(text)
    try:
        flat = _flat(values, may_be_integers=b"." not in text[:_BEGINNING])
        shape = _row_shape(values, text)
    finally:
        del values  # the parser may be used again only when nothing of this is left
    return flat.reshape(shape or _shape(text.translate(None, _ALL_BUT_MARKS)))


def _very_long(body: Content, start: int, end: int) -> Array:
    """The same in pieces, cut at commas: first the numbers, without looking at brackets, then the shape of these.

    A bracket becomes a space: what it kept apart, stays apart, and two numbers without a comma are refused.
    """
    numbers: list[Array] = []
    marks: list[bytes] = []
    position = start
    while position < end:
        cut = body.find(b",", min(position + _PIECE, end), end)
        cut = end if cut < 0 else cut
        piece = body[position:cut]
        _check_order(piece)
        marks.append(piece.translate(None, _ALL_BUT_MARKS))
        values = _parser().parse(b"[" + piece.translate(_NO_BRACKETS) + b"]")
        try:
            numbers.append(_flat(values, may_be_integers=True))
        finally:
            del values
        position = cut + 1
    if len({piece.dtype for piece in numbers}) > 1:
        numbers = [piece.astype(np.float64) for piece in numbers]
    return np.concatenate(numbers).reshape(_shape(b",".join(marks)))


def _check_order(piece: bytes) -> None:
    """Refuse a number that stands right behind a closing bracket or before an opening one.

    Raises:
        ValueError: one does, or brackets that no comma keeps apart.
    """
    signs = piece.translate(_DIGITS, b" \t\r\n")
    if b"]0" in signs or b"0[" in signs or b"][" in signs or b"[]" in signs:
        raise ValueError("no array of numbers")


def _parser() -> Any:
    if not hasattr(_threads, "parser"):
        _threads.parser = simdjson.Parser()
    return _threads.parser


def _flat(values: Any, *, may_be_integers: bool) -> Array:
    """All numbers of a parsed array, in one row."""
    for kind in _BUFFERS if may_be_integers else "d":
        try:
            return np.frombuffer(values.as_buffer(of_type=kind), _BUFFERS[kind])
        except (TypeError, ValueError):  # a literal that the type does not take; the last takes all numbers
            if kind == "d":
                raise
    raise TypeError("no numbers")


def _row_shape(values: Any, text: bytes) -> tuple[int, ...] | None:
    """The shape of rows of numbers, which need no look at each comma; None for whatever is nested otherwise."""
    rows = len(values)
    if text[:_BEGINNING].count(b"[") != 2 or _brackets(text, rows + 1) != rows + 1:
        return None
    sizes = {len(row) for row in values}  # one bracket a row: every element of the outer array is one
    return (rows, sizes.pop()) if len(sizes) == 1 else None


def _brackets(text: bytes, expected: int) -> int:
    """How many opening brackets are in a text; of those beyond the expected ones only the first may be counted."""
    if expected * _SPARSE > len(text):
        return int(np.count_nonzero(np.frombuffer(text, np.uint8) == ord("[")))
    count = position = 0
    while count <= expected and (position := text.find(b"[", position) + 1):
        count += 1
    return count


def _shape(marks: bytes) -> tuple[int, ...]:
    """The shape of nested arrays of numbers, of which only brackets and commas are left.

    Raises:
        ValueError: they are ragged.
    """
    depth = len(marks) - len(marks.lstrip(b"["))
    if depth > DEEPEST:
        raise ValueError("deeper than an array can be")
    inner = marks.index(b"]") - depth
    sizes = [inner + 1]
    unit = b"[" + b"," * inner + b"]"
    for level in range(depth - 2, -1, -1):  # each level is the first element of the one around it, over and over
        position, size = level + 1 + len(unit), 1
        while marks.startswith(b",", position):
            position, size = position + 1 + len(unit), size + 1
        unit = b"[" + b",".join([unit] * size) + b"]"
        sizes.append(size)
    if unit != marks:
        raise ValueError("ragged")
    return tuple(reversed(sizes))


def _integers(array: Array, name: str) -> Array | None:
    if array.dtype.kind not in "iu":  # a literal with a point, or integers of which int64 and uint64 hold some each
        return None
    low, high = INTEGER_RANGES[name]
    if int(array.min()) < low or int(array.max()) > high:
        return None
    return array.astype(dtypes.BY_NAME[name].numpy)
