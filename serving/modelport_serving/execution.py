"""Where models run: a small pool of threads beside the event loop (TensorFlow releases the interpreter lock)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from modelport_serving.manager import Handle

T = TypeVar("T")


class Execution:
    """Runs work on loaded versions for the event loop.

    Args:
        threads: how many runs may be under way at a time; more wait in line.
    """

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, "run")

    async def run(self, handle: Handle, work: Callable[[], T]) -> T:
        """Run `work` on a thread and give the handle back when it ended, even if nobody waits any more.

        When the caller is cancelled before the work began, it never runs.
        """
        future = self._pool.submit(work)
        future.add_done_callback(lambda _: handle.release())
        return await asyncio.wrap_future(future)

    def stop(self) -> None:
        """Wait for the runs under way."""
        self._pool.shutdown()
