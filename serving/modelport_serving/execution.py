"""Where and when models run: requests wait in lanes, a small pool of threads runs them (TensorFlow releases the
interpreter lock).

As soon as a thread is free it takes all that waits at the head of the next lane, so requests are joined exactly when
they would have waited anyway, and a lone one never waits for company. With --enable_batching the parameters' timeout,
sizes and queue limits rule instead.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from modelport.errors import DeadlineExceeded, ModelportError, ResourceExhausted, Unavailable
from modelport_serving.batching import UNASKED, Limits
from modelport_serving.joining import ALWAYS, NEVER, Outcome, checked_row_count, likeness, row_count
from modelport_serving.lanes import Batch, Lane, Task
from modelport_serving.manager import Handle

Array = np.ndarray[Any, np.dtype[Any]]
Watch = Callable[[Batch, Sequence[Outcome], float], None]


_SWEEP_S = 0.05  # between two looks for requests that have waited too long


class Overloaded(ResourceExhausted):
    """Too many requests wait; the shells tell the client to come back."""


class Execution:
    """Runs requests on loaded versions for one event loop.

    Args:
        threads: how many runs may be under way at a time.
        max_waiting: how many requests may wait; more are refused at once.
        join: whether requests may share a run without having been asked to (`batching.UNASKED`).
        watch: told of every batch that was run, its outcomes and how many seconds they took; on the event loop.
    """

    def __init__(self, threads: int, max_waiting: int = 1024, *, join: bool = True, watch: Watch | None = None) -> None:
        self._threads = threads
        self._max_waiting = max_waiting
        self._join = join
        self._watch = watch
        self._lanes: dict[Any, Lane] = {}
        self._running = 0
        self.waiting = 0
        self._pump_due = False
        self._sweep: asyncio.TimerHandle | None = None
        self._work: queue.SimpleQueue[tuple[asyncio.AbstractEventLoop, Batch] | None] = queue.SimpleQueue()
        self._workers = [threading.Thread(target=self._serve, name=f"run-{n}", daemon=True) for n in range(threads)]
        for worker in self._workers:
            worker.start()

    async def run(
        self,
        handle: Handle,
        feeds: Mapping[str, Array],
        fetches: Sequence[str],
        deadline: float | None,
        api: str,
        *,
        joins: bool = False,
    ) -> list[Array]:
        """Run a request and give the handle back when it ended, even if nobody waits any more.

        Args:
            handle: the version; released here, whatever happens.
            feeds: tensor name → array.
            fetches: tensor names.
            deadline: on the monotonic clock; work that has passed it is not begun.
            api: who asks, for the metrics.
            joins: whether the signature says that its rows are independent (an open first dimension everywhere).

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
            lane, rows = self._lane(handle, feeds, fetches, joins)
            batch = lane.batch_for(rows)
        except BaseException:
            handle.release()
            raise
        task = Task(handle, feeds, rows, deadline, api, loop.create_future())
        batch.tasks.append(task)
        batch.rows += rows
        self.waiting += 1
        if batch.rows >= lane.limits.max_run_rows or (
            not lane.limits.asked and len(batch.tasks) >= lane.trust.expected > 1
        ):
            batch.due = True
        elif len(batch.tasks) == 1 and not batch.due:
            batch.timer = loop.call_later(batch.patience_s, self._ripen, loop, batch)
        self._schedule(loop)
        if self._sweep is None:
            self._sweep = loop.call_later(_SWEEP_S, self._drop_expired, loop)
        result: list[Array] = await task.future
        return result

    def abandon(self) -> None:
        """Answer all that still wait with UNAVAILABLE; on the event loop, before it ends."""
        for lane in self._lanes.values():
            for batch in lane.batches:
                for task in batch.tasks:
                    task.handle.release()
                    if not task.future.done():
                        task.future.set_exception(Unavailable("The server is stopping."))
        self._lanes.clear()
        self.waiting = 0

    def stop(self, timeout: float = 5.0) -> None:
        """End the threads when the runs under way have ended; after `timeout` seconds without them."""
        for _ in self._workers:
            self._work.put(None)
        deadline = time.monotonic() + timeout
        for worker in self._workers:
            worker.join(max(deadline - time.monotonic(), 0.0))

    def _lane(
        self, handle: Handle, feeds: Mapping[str, Array], fetches: Sequence[str], joins: bool
    ) -> tuple[Lane, int]:
        servable = handle.servable
        limits = servable.limits
        names = tuple(feeds)
        outputs = tuple(fetches)
        if limits is not None:
            rows = checked_row_count(feeds, limits)
            trust = ALWAYS
        else:
            limits = UNASKED
            rows = (row_count(feeds) or 0) if joins and self._join else 0
            trust = servable.trust(outputs) if rows else NEVER
            if not trust.joins:
                rows = 0
        alike = likeness(feeds, padded=limits.pad) if rows else ()
        key = (servable, names, outputs, alike)
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = Lane(key, outputs, limits, trust)
        return lane, rows

    def _ripen(self, loop: asyncio.AbstractEventLoop, batch: Batch) -> None:
        batch.due = True
        self._schedule(loop)

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        """Look for work after the callbacks that are due now: requests which arrived together share a run."""
        if not self._pump_due and self._running < self._threads:
            self._pump_due = True
            loop.call_soon(self._pump, loop)

    def _pump(self, loop: asyncio.AbstractEventLoop) -> None:
        self._pump_due = False
        for lane in list(self._lanes.values()):
            if self._running >= self._threads:
                return
            if not lane.is_ready:
                continue
            batch = lane.batches.popleft()
            if batch.timer is not None:
                batch.timer.cancel()
            self.waiting -= len(batch.tasks)
            self._drop_lost(batch)
            if batch.tasks:
                self._running += 1
                lane.running += 1
                lane.trust.gathered(len(batch.tasks))
                if batch.is_momentary:
                    begin = time.monotonic()
                    outcomes = batch.run()
                    loop.call_soon(self._finish, loop, batch, outcomes, time.monotonic() - begin)
                else:
                    self._work.put((loop, batch))
            self._put_last(lane)
        if self._running < self._threads and any(lane.is_ready for lane in self._lanes.values()):
            self._schedule(loop)

    def _put_last(self, lane: Lane) -> None:
        """Put a lane behind the others, so that none starves; forget it when it has nothing left to do."""
        self._lanes.pop(lane.key, None)
        if lane.batches or lane.running:
            self._lanes[lane.key] = lane

    def _drop_lost(self, batch: Batch) -> None:
        """Leave out what nobody waits for any more and what is past its deadline."""
        now = time.monotonic()
        kept = []
        for task in batch.tasks:
            if task.future.done():
                task.handle.release()
            elif task.deadline is not None and task.deadline <= now:
                task.handle.release()
                task.future.set_exception(_expired(batch.lane.limits))
            else:
                kept.append(task)
        batch.tasks = kept
        batch.taken = now

    def _drop_expired(self, loop: asyncio.AbstractEventLoop) -> None:
        """Answer what has passed its deadline while it waits, instead of when its turn comes."""
        self._sweep = None
        for lane in list(self._lanes.values()):
            for batch in lane.batches:
                before = len(batch.tasks)
                self._drop_lost(batch)
                self.waiting -= before - len(batch.tasks)
                batch.rows = sum(task.rows for task in batch.tasks)
            lane.batches = deque(batch for batch in lane.batches if batch.tasks)
            if not lane.batches and not lane.running:
                self._lanes.pop(lane.key, None)
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

    def _finish(
        self, loop: asyncio.AbstractEventLoop, batch: Batch, outcomes: Sequence[Outcome], seconds: float
    ) -> None:
        self._running -= 1
        batch.lane.running -= 1
        batch.lane.trust.took(seconds)
        if self._watch is not None:
            self._watch(batch, outcomes, seconds)
        for task, outcome in zip(batch.tasks, outcomes, strict=True):
            task.handle.release()
            if task.future.done():
                continue
            if isinstance(outcome, list):
                task.future.set_result(outcome)
            else:
                task.future.set_exception(outcome)
        batch.tasks = []
        if not batch.lane.batches and not batch.lane.running:
            self._lanes.pop(batch.lane.key, None)  # not there after `abandon`
        if self._lanes:
            self._schedule(loop)


def _expired(limits: Limits) -> ModelportError:
    if limits.asked:
        return ResourceExhausted("Run() timeout exceeded while waiting in batching queue")
    return DeadlineExceeded("Timed out waiting for notification")  # the text of the real server
