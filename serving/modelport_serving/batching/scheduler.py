"""Where and when models run: requests wait in batch queues, a small pool of threads runs them.

As soon as a thread is free it takes all that waits at the head of the next queue, so requests share a run exactly when
they would have waited anyway, and a lone one never waits for company. With --enable_batching the parameters' timeout,
sizes and queue limits rule instead. TensorFlow runs without the interpreter lock.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from modelport.errors import ResourceExhausted, Unavailable
from modelport_serving.batching.batch_queue import Batch, BatchQueue, Task
from modelport_serving.batching.merging import Outcome, checked_row_count, likeness, row_count
from modelport_serving.batching.parameters import UNASKED
from modelport_serving.core.harness import Handle
from modelport_serving.servables.servable import Servable

Array = np.ndarray[Any, np.dtype[Any]]
Watch = Callable[[Batch, Sequence[Outcome], float], None]

_SWEEP_S = 0.05  # between two looks for requests that have waited too long
_MAX_QUEUES = 256  # kept of one version: clients choose outputs and inner shapes
_BRIEF_BYTES = 2**20  # of inputs: more are copied and run on a thread


class Overloaded(ResourceExhausted):
    """Too many requests wait; the shells tell the client to come back."""


class Scheduler:
    """Runs requests on loaded versions for one event loop.

    Args:
        threads: how many runs may be under way at a time.
        max_waiting: how many requests may wait; more are refused at once.
        watch: told of every batch that was run, its outcomes and how many seconds they took; on the event loop.

    Attributes:
        waiting: how many requests wait now.
    """

    def __init__(self, threads: int, max_waiting: int = 1024, *, watch: Watch | None = None) -> None:
        self.waiting = 0
        self._threads = threads
        self._max_waiting = max_waiting
        self._watch = watch
        self._active: dict[BatchQueue, None] = {}  # in the order of their turns
        self._under_way: set[Batch] = set()
        self._pump_due = False
        self._sweep: asyncio.TimerHandle | None = None
        self._work: queue.SimpleQueue[tuple[asyncio.AbstractEventLoop, Batch] | None] = queue.SimpleQueue()
        self._workers = [threading.Thread(target=self._serve, name=f"run-{n}", daemon=True) for n in range(threads)]
        for worker in self._workers:
            worker.start()

    async def run(
        self,
        handle: Handle[Servable],
        feeds: Mapping[str, Array],
        fetches: Sequence[str],
        deadline: float | None,
        api: str,
        *,
        merges: bool = False,
        steady: bool = False,
    ) -> list[Array]:
        """Run a request and give the handle back when it ended, even if nobody waits any more.

        Args:
            handle: the version; released here, whatever happens.
            feeds: tensor name → array.
            fetches: tensor names.
            deadline: on the monotonic clock; work that has passed it is not begun.
            api: who asks, for the metrics.
            merges: whether the request may share a run without --enable_batching.
            steady: whether the time of its run follows from its shapes.

        Raises:
            Overloaded: too many requests wait.
            ModelportError: whatever running raised.
        """
        loop = asyncio.get_running_loop()
        try:
            if self.waiting >= self._max_waiting:
                raise Overloaded(
                    f"{self.waiting} requests are waiting, and --max_waiting_requests is {self._max_waiting}. "
                    "Try again later."
                )
            waits_in, rows = _queue_of(handle.servable, feeds, fetches, merges, steady)
            task = Task(handle, feeds, rows, deadline, api, loop.create_future())
            waits_in.add(task, lambda batch: loop.call_later(batch.wait_s, self._make_due, loop, batch))
        except BaseException:
            handle.release()
            raise
        self.waiting += 1
        self._active[waits_in] = None
        self._schedule(loop)
        if self._sweep is None:
            self._sweep = loop.call_later(_SWEEP_S, self._drop_expired, loop)
        try:
            return await task.future
        finally:
            del task  # an error's traceback would keep it, and the arrays in it, until the garbage collector comes

    def abandon(self) -> None:
        """Answer all that still wait, and all whose run is under way, with UNAVAILABLE; on the event loop."""
        stopping = Unavailable("The server is stopping.")
        for waiting in self._active:
            waiting.abandon(stopping)
        self._active.clear()
        self.waiting = 0
        for batch in self._under_way:
            batch.abandon(stopping)

    def stop(self, seconds: float) -> bool:
        """End the threads when the runs under way have ended; False when one is left behind after so many seconds."""
        for _ in self._workers:
            self._work.put(None)
        deadline = time.monotonic() + seconds
        for worker in self._workers:
            worker.join(max(deadline - time.monotonic(), 0.0))
        return not any(worker.is_alive() for worker in self._workers)

    def _make_due(self, loop: asyncio.AbstractEventLoop, batch: Batch) -> None:
        batch.due = True
        self._schedule(loop)

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        """Look for work after the callbacks that are due now: requests which arrived together share a run."""
        if not self._pump_due and len(self._under_way) < self._threads:
            self._pump_due = True
            loop.call_soon(self._pump, loop)

    def _pump(self, loop: asyncio.AbstractEventLoop) -> None:
        self._pump_due = False
        for waiting in list(self._active):
            if len(self._under_way) >= self._threads:
                return
            if waiting.is_ready:
                batch, left = waiting.take()
                self.waiting -= left
                if batch.tasks:
                    self._begin(loop, batch)
            del self._active[waiting]  # behind the others, so that none starves
            if not waiting.is_idle:
                self._active[waiting] = None
        if len(self._under_way) < self._threads and any(waiting.is_ready for waiting in self._active):
            self._schedule(loop)

    def _begin(self, loop: asyncio.AbstractEventLoop, batch: Batch) -> None:
        self._under_way.add(batch)
        if batch.is_momentary:
            begin = time.monotonic()
            outcomes = batch.run()
            loop.call_soon(self._finish, loop, batch, outcomes, time.monotonic() - begin)
        else:
            self._work.put((loop, batch))

    def _drop_expired(self, loop: asyncio.AbstractEventLoop) -> None:
        self._sweep = None
        for waiting in list(self._active):
            self.waiting -= waiting.drop_expired()
            if waiting.is_idle:
                del self._active[waiting]
        if self.waiting:
            self._sweep = loop.call_later(_SWEEP_S, self._drop_expired, loop)

    def _serve(self) -> None:
        while (work := self._work.get()) is not None:
            loop, batch = work
            begin = time.monotonic()
            outcomes = batch.run()
            seconds = time.monotonic() - begin
            try:
                loop.call_soon_threadsafe(self._finish, loop, batch, outcomes, seconds)
            except RuntimeError:  # the loop has ended, and nobody waits any more
                for task in batch.tasks:
                    task.handle.release()
            del work, batch, outcomes  # not kept until the next one comes

    def _finish(
        self, loop: asyncio.AbstractEventLoop, batch: Batch, outcomes: Sequence[Outcome], seconds: float
    ) -> None:
        self._under_way.discard(batch)
        if self._watch is not None:
            self._watch(batch, outcomes, seconds)
        batch.end(outcomes)
        if batch.queue.is_idle:
            self._active.pop(batch.queue, None)  # not there after `abandon`
        if self._active:
            self._schedule(loop)


def _queue_of(
    servable: Servable, feeds: Mapping[str, Array], fetches: Sequence[str], merges: bool, steady: bool
) -> tuple[BatchQueue, int | None]:
    """The queue of a request, and its rows where they may be merged."""
    limits = servable.limits
    if limits is not None:
        rows: int | None = checked_row_count(feeds, limits)
        merges = True
    else:
        limits = UNASKED
        rows = row_count(feeds) if merges else None
    alike = likeness(feeds, padded=limits.pad) if rows is not None else ()
    brief = steady and all(a.dtype != object for a in feeds.values()) and _bytes(feeds) <= _BRIEF_BYTES
    key = (tuple(feeds), tuple(fetches), alike, brief)
    found: BatchQueue | None = servable.queues.get(key)
    if found is None:
        if len(servable.queues) >= _MAX_QUEUES:
            for idle in [key for key, waiting in servable.queues.items() if waiting.is_idle]:
                del servable.queues[idle]
        found = servable.queues[key] = BatchQueue(
            fetches, limits, merges=rows is not None, brief=brief, row_bytes=_bytes(feeds) // max(rows or 1, 1)
        )
    return found, rows


def _bytes(feeds: Mapping[str, Array]) -> int:
    return sum(array.nbytes for array in feeds.values())
