"""What takes long because it is large is done beside the event loop.

Python runs one thread at a time, so a thread alone is not enough: what it does must be made of pieces of a few
milliseconds each, between which the event loop gets its turn. The code that reads and writes bodies is written so.
"""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, ParamSpec, TypeVar

import numpy as np

from modelport.errors import ResourceExhausted
from modelport_serving.core.daemon_executor import DaemonExecutor

P = ParamSpec("P")
T = TypeVar("T")

LARGE_BYTES = 2**20  # copied in a third of a millisecond; a message is copied a few times
LARGE_COUNT = 10_000  # values that are looked at one by one, in some milliseconds
_MAX_WAITING = 256  # each with up to hundreds of megabytes
_THREADS = 2  # more would each take a turn before the event loop gets its own


class OffLoop:
    """Threads for large requests and answers, beside an event loop.

    A request that is read for long takes one of them, so that others find the second.
    """

    def __init__(self) -> None:
        self._executor = DaemonExecutor(_THREADS, "large")
        self._lock = threading.Lock()
        self._pauses = 0
        self._waiting = 0

    async def run(self, large: bool, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What the function returns: at once where it is small, else on a thread."""
        if not large:
            return function(*args, **kwargs)
        if self._waiting >= _MAX_WAITING:
            raise ResourceExhausted(f"{self._waiting} large requests wait to be read or answered. Try again later.")
        call = partial(function, *args, **kwargs)
        self._waiting += 1
        try:
            return await asyncio.wrap_future(self._executor.submit(self._without_collector, call))
        finally:
            self._waiting -= 1

    def _without_collector(self, call: Callable[[], T]) -> T:
        self.pause_collector()
        try:
            return call()
        finally:
            self.resume_collector()

    def pause_collector(self) -> None:
        """Let Python's garbage collector pause: with millions of values about, each look of it takes seconds."""
        with self._lock:
            self._pauses += 1
            gc.disable()

    def resume_collector(self) -> None:
        """End a pause; the collector goes on when none is left."""
        with self._lock:
            self._pauses -= 1
            if not self._pauses:
                gc.enable()

    def stop(self) -> None:
        """Let the threads end."""
        self._executor.shutdown()


def is_large(arrays: Any) -> bool:
    """Whether writing arrays takes long; strings are written one by one."""
    size = 0
    for array in arrays:
        size += array.nbytes
        if array.dtype == np.object_ and array.size > LARGE_COUNT:
            return True
    return size > LARGE_BYTES
