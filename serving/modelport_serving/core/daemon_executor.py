"""Threads that never keep the process alive.

`ThreadPoolExecutor` joins its threads when the interpreter ends: one load that hangs would keep a stopped server from
ending. Work that is still under way at the end of the process is simply left.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class DaemonExecutor(Executor):
    """Runs what it is given on a fixed number of daemon threads, which start with the first piece of work.

    Args:
        threads: how many pieces may be under way at a time; at least 1.
        name: of the threads.
    """

    def __init__(self, threads: int, name: str) -> None:
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._threads = max(threads, 1)
        self._name = name
        self._started: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._idle = 0  # threads that wait, less the pieces of work that wait for them

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Have `fn(*args)` run; its result or error is the future's."""
        future: Future[T] = Future()

        def piece() -> None:
            if future.set_running_or_notify_cancel():
                try:
                    result = fn(*args, **kwargs)
                except BaseException as error:
                    future.set_exception(error)
                else:
                    future.set_result(result)

        with self._lock:
            self._idle -= 1
            if self._idle < 0 and len(self._started) < self._threads:
                thread = threading.Thread(target=self._serve, name=f"{self._name}-{len(self._started)}", daemon=True)
                self._started.append(thread)
                self._idle += 1
                thread.start()
        self._work.put(piece)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Let the threads end when nothing is left to do; `join` waits for it."""
        for _ in self._started:
            self._work.put(None)

    def join(self, seconds: float) -> bool:
        """Wait for the threads after `shutdown`; False when one is still at work after so many seconds in all."""
        for thread in self._started:
            thread.join(max(seconds, 0.0))
            seconds = 0.0 if thread.is_alive() else seconds
        return not any(thread.is_alive() for thread in self._started)

    def _serve(self) -> None:
        piece: Any
        while (piece := self._work.get()) is not None:
            piece()
            del piece  # and with it what it held
            with self._lock:
                self._idle += 1
