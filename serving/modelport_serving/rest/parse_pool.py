"""Long JSON bodies of numbers are read by processes: Python parses on one core at a time in each.

A reader takes a body only when it is free; otherwise, and for whatever is not the usual request, the caller reads the
body itself. So a reader that is busy, slow or gone costs nothing but speed. The first long body starts the first one,
and a body that finds none free another.
"""

from __future__ import annotations

import asyncio
import logging
import mmap
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from multiprocessing.connection import Connection
from tempfile import TemporaryFile
from typing import IO

import numpy as np

from modelport_serving.rest.json import PredictBody
from modelport_serving.rest.json.content import Content
from modelport_serving.rest.json.tensor_values import Array
from modelport_serving.rest.parse_worker import (
    COMMAND,
    LONGEST,
    MEMORY_BYTES,
    ROOM,
    SLOTS,
    Found,
    Question,
    Reply,
    place,
)
from modelport_serving.servables.servable import Signature

_logger = logging.getLogger("modelport.serving")

SHORTEST = 2**16  # bytes of a body below which handing it over costs more than reading it
_MOST_VALUES = 10_000  # that a reader reads one at a time, which takes ten milliseconds
_MOST = 4  # readers, unless more are asked for
# For glibc: keep what a body took for the next one. Giving it back each time costs a third of the reading.
_KEEP = {"MALLOC_MMAP_THRESHOLD_": str(2**25), "MALLOC_TRIM_THRESHOLD_": str(2**26)}
_ALONE = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # nothing is computed there
_KEPT = 2**22  # up to this length of a body the pages that it took are kept for the next
_PATIENCE_S = 2.0  # for one body; it takes a tenth of a second at most
_MOST_LOSSES = 20  # after which no more are started
_MOST_INPUTS = 1000  # of all signatures of a model


@dataclass(frozen=True, slots=True)
class Read:
    """What a reader made of a body: the signature that it names, the dtypes it was read with, and the arrays."""

    signature: str
    dtypes: dict[str, int]
    body: PredictBody


def usual_count() -> int:
    """One fewer than cores, because the event loop needs one; a few at most; none where no Python can be started."""
    if not sys.executable or getattr(sys, "frozen", False) or not hasattr(os, "sched_getaffinity"):
        return 0
    return min(len(os.sched_getaffinity(0)) - 1, _MOST)


class ParsePool:
    """The readers of one event loop.

    Args:
        count: how many processes; 0 for none.
        max_depth: of JSON.
    """

    def __init__(self, count: int, max_depth: int) -> None:
        self._count = count
        self._max_depth = max_depth
        self._readers: list[_Reader] = []
        self._losses = 0

    async def read(self, body: Content, signatures: Mapping[str, Signature], default: str) -> Read | None:
        """Have a body read, if a reader is free and the body is the usual one.

        Args:
            body: of a Predict request.
            signatures: those that it may name.
            default: the signature that is meant where it names none.

        Returns:
            What was read, or None: then the body has to be read by the caller.
        """
        if not SHORTEST <= len(body) <= LONGEST or self._count <= 0:
            return None
        free = max(self._readers, key=lambda reader: len(reader.slots), default=None)
        if free is None or not free.slots:
            self._start()
            return None
        inputs = {name: signature.dtypes() for name, signature in signatures.items()}
        if sum(map(len, inputs.values())) > _MOST_INPUTS:  # a question has to fit into a socket's buffer
            return None
        question = Question(free.slots.pop(), len(body), inputs, default, self._max_depth, _MOST_VALUES)
        answer = await free.ask(question, body)
        if answer is None:
            return None
        reply, arrays = answer
        return Read(reply.signature, inputs[reply.signature or default], PredictBody(arrays, reply.row_format))

    def stop(self) -> None:
        """End the processes."""
        for reader in self._readers:
            reader.close()
        self._readers.clear()
        self._count = 0

    def _start(self) -> None:
        """Start one more, unless there are enough or one is about to be ready."""
        lost = [reader for reader in self._readers if not reader.is_open]
        self._readers = [reader for reader in self._readers if reader.is_open]
        for reader in lost:
            self._losses += 1
            _logger.warning("A process that read long JSON bodies is gone; they are read by the server itself.")
            if not reader.is_ready or self._losses >= _MOST_LOSSES:  # it cannot live here
                self._count = 0
        if len(self._readers) < self._count and all(reader.is_ready for reader in self._readers):
            try:
                self._readers.append(_Reader(asyncio.get_running_loop()))
            except OSError as error:
                self._count = 0
                _logger.warning("No process can be started to read long JSON bodies: %s", error)


_Answer = tuple[Reply, dict[str, Array]]


class _Reader:
    """One process, and the memory shared with it.

    Attributes:
        slots: of the memory, those that are free; none until the process is ready.
        is_open, is_ready: whether it is there, and has said that it can read.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.slots: list[int] = []
        self.is_open, self.is_ready = True, False
        self._asked: dict[int, tuple[int, asyncio.Future[_Answer | None]]] = {}  # by slot: length, who waits
        self._patience: asyncio.TimerHandle | None = None
        ours, theirs = socket.socketpair()
        with ours, theirs, _memory_file() as memory:
            self._memory = mmap.mmap(memory.fileno(), MEMORY_BYTES)
            files = (theirs.fileno(), memory.fileno())
            self._process = subprocess.Popen(
                [*COMMAND, *map(str, files)],
                stdin=subprocess.DEVNULL,
                pass_fds=files,
                env={**os.environ, **_KEEP, **_ALONE},
                process_group=0,  # Ctrl-C is meant for the server, which may have to drain first
            )
            self._connection = Connection(os.dup(ours.fileno()))
        loop.add_reader(self._connection.fileno(), self._take)

    async def ask(self, question: Question, body: Content) -> _Answer | None:
        """Have a body read into arrays of our own; None when it cannot be, or not in time."""
        future: asyncio.Future[_Answer | None] = self._loop.create_future()
        self._asked[question.slot] = len(body), future
        if self._patience is None:
            self._wait()
        start = place(question.slot)
        self._memory[start : start + len(body)] = body
        try:
            self._connection.send(question)
        except OSError:
            self.close()
        return await future

    def close(self) -> None:
        """End the process; whoever waits for it reads the body himself."""
        if not self.is_open:
            return
        self.is_open = False
        self.slots.clear()
        if self._patience is not None:
            self._patience.cancel()
        for _, future in self._asked.values():
            if not future.done():
                future.set_result(None)
        self._asked.clear()
        self._loop.remove_reader(self._connection.fileno())
        self._connection.close()
        self._memory.close()
        self._process.kill()  # it has nothing to lose
        threading.Thread(target=self._process.wait, daemon=True).start()  # until the system is rid of it

    def _wait(self) -> None:
        """Begin to wait for the next reply."""
        self._patience = self._loop.call_later(_PATIENCE_S, self.close)

    def _take(self) -> None:
        """A message is there: that the process is ready, or a reply."""
        try:
            reply: Reply | None = self._connection.recv()
        except (EOFError, OSError):
            self.close()
            return
        if reply is None:
            self.is_ready, self.slots = True, list(range(SLOTS))
            return
        length, future = self._asked.pop(reply.slot)
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        if self._asked:
            self._wait()
        answer: _Answer | None = None
        try:
            if reply.inputs is not None and not future.done():  # else the client is gone
                answer = reply, self._copies(reply.inputs)
        finally:
            if not future.done():
                future.set_result(answer)
            if hasattr(mmap, "MADV_REMOVE") and length > _KEPT:
                self._memory.madvise(mmap.MADV_REMOVE, place(reply.slot), ROOM)
            self.slots.append(reply.slot)

    def _copies(self, inputs: Mapping[str, Found]) -> dict[str, Array]:
        return {
            alias: np.frombuffer(self._memory, found.dtype, prod(found.shape), found.offset).reshape(found.shape).copy()
            for alias, found in inputs.items()
        }


def _memory_file() -> IO[bytes]:
    """A file that only its descriptors know, in memory where the system has such files."""
    in_memory = hasattr(os, "memfd_create")
    file: IO[bytes] = open(os.memfd_create("json"), "r+b") if in_memory else TemporaryFile()  # noqa: SIM115, PTH123
    file.truncate(MEMORY_BYTES)
    return file
