"""A process that reads long Predict bodies into arrays, for `parse_pool`, which starts it by `COMMAND`.

It is given two file descriptors: a socket for short messages, and memory that is shared. It ends when the socket does,
as at the latest when its server ends. What would take long, and is not the usual request, it leaves to the server.
"""

from __future__ import annotations

import contextlib
import mmap
import sys
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from modelport.errors import ModelportError
from modelport_serving.rest import json as rest_json
from modelport_serving.rest.json.tensor_values import Array

# Not by `-m`, which would make another module of this one, and other classes of its messages. -P: nothing from the
# folder that the server was started in.
COMMAND = (sys.executable, "-P", "-c", f"from {__name__} import main; main()")
SLOTS = 8  # one is read while others are filled and emptied
LONGEST = 4 * 2**20  # bytes of a body; copying a longer one into the memory would hold up the others
ROOM = 5 * LONGEST  # for a body and its arrays: a number has two bytes of text at least, and eight as an array
_PLAIN = "fiub"  # dtypes that their numpy name tells
MEMORY_BYTES = SLOTS * ROOM  # none of it is taken before it is used


@dataclass(frozen=True, slots=True)
class Question:
    """What to read.

    Args:
        slot: where the body is.
        length: of the body, in bytes.
        signatures: name → alias of each input → DataType number.
        default: the signature that is meant where the body names none.
        max_depth, most: limits of `rest_json.parse_document`.
    """

    slot: int
    length: int
    signatures: dict[str, dict[str, int]]
    default: str
    max_depth: int
    most: int


@dataclass(frozen=True, slots=True)
class Found:
    """An array in a slot: its place, counted from the memory's beginning."""

    dtype: str
    shape: tuple[int, ...]
    offset: int


@dataclass(frozen=True, slots=True)
class Reply:
    """What was found; `inputs` is None where the body is not the usual one, and has to be read with more care."""

    slot: int
    signature: str = ""
    row_format: bool = False
    inputs: dict[str, Found] | None = None


def place(slot: int) -> int:
    """Where a slot begins."""
    return slot * ROOM


def main() -> None:
    """Answer questions until nobody asks; the command line's words are the two descriptors."""
    socket, memory_file = map(int, sys.argv[1:])
    memory = mmap.mmap(memory_file, MEMORY_BYTES)
    with Connection(socket) as connection, contextlib.suppress(EOFError, ConnectionError):
        connection.send(None)  # ready
        while True:
            question: Question = connection.recv()
            connection.send(answer(question, memory))


def answer(question: Question, memory: mmap.mmap) -> Reply:
    """Read one body; its arrays are put behind it."""
    start = place(question.slot)
    body = memory[start : start + question.length]
    try:
        document = rest_json.parse_document(body, max_depth=question.max_depth, most=question.most)
        name = rest_json.signature_name(document)
        inputs = question.signatures.get(name or question.default)
        if inputs is None:
            return Reply(question.slot)
        decoded = rest_json.decode_usual(document, inputs)
    except (ModelportError, rest_json.Impatient):
        return Reply(question.slot)
    if decoded is None:
        return Reply(question.slot)
    found = _put(decoded.inputs, memory, start + question.length, start + ROOM)
    return Reply(question.slot, name, decoded.row_format, found)


def _put(arrays: dict[str, Array], memory: mmap.mmap, offset: int, end: int) -> dict[str, Found] | None:
    found = {}
    for alias, array in arrays.items():
        offset = -(-offset // array.itemsize) * array.itemsize
        if array.dtype.kind not in _PLAIN or offset + array.nbytes > end:
            return None
        target: Any = np.frombuffer(memory, array.dtype, array.size, offset).reshape(array.shape)
        np.copyto(target, array)
        found[alias] = Found(array.dtype.str, array.shape, offset)
        offset += array.nbytes
    return found
