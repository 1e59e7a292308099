"""Where models run: a small pool of threads beside the event loop (TensorFlow releases the interpreter lock)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from modelport_serving.manager import Handle

Array = np.ndarray[Any, np.dtype[Any]]


class Execution:
    """Runs work on loaded versions for the event loop.

    Args:
        threads: how many runs may be under way at a time; more wait in line.
    """

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, "run")

    async def run(
        self, handle: Handle, feeds: Mapping[str, Array], fetches: Sequence[str], deadline: float | None
    ) -> list[Array]:
        """Run a version on a thread and give the handle back when it ended, even if nobody waits any more.

        When the caller is cancelled before the work began, it never runs.
        """
        future = self._pool.submit(handle.servable.run, feeds, fetches, deadline)
        future.add_done_callback(lambda _: handle.release())
        return await asyncio.wrap_future(future)

    def stop(self) -> None:
        """Wait for the runs under way."""
        self._pool.shutdown()
