"""A batch queue: the waiting requests that may share a run, gathered into batches.

Requests are in one queue when they ask the same version for the same outputs with inputs of the same likeness. All of
a queue's state belongs to the event loop's thread; only `Batch.run` runs elsewhere.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from modelport.errors import DeadlineExceeded, Internal, ModelportError, ResourceExhausted, Unavailable
from modelport_serving.batching.merging import Outcome, run_alone, run_together
from modelport_serving.core.harness import Handle
from modelport_serving.servables.batch_limits import BatchLimits
from modelport_serving.servables.servable import Servable

Array = np.ndarray[Any, np.dtype[Any]]

_BRIEF_S = 0.005  # up to here one run at a time is better than two side by side: the second gathers company
_MOMENT_S = 0.001  # up to here the event loop loses less by a run than by a switch to another thread and back
_MOMENT_BYTES = 2**18  # of inputs: more are copied meanwhile, which a second core does as well
_PATIENCE_S = 0.002  # the longest that a request waits for company that was there before
_SMOOTHING = 8  # runs over which the time of one is averaged


@dataclass(slots=True, eq=False)
class Task:
    """One waiting request.

    Attributes:
        handle: the version; given back when the request has its outcome, even if nobody waits any more.
        deadline: on the monotonic clock; None for no limit.
        rows: None where its rows are not known, or may not be merged.
        api: who asks, for the metrics.
    """

    handle: Handle[Servable]
    feeds: Mapping[str, Array]
    rows: int | None
    deadline: float | None
    api: str
    future: asyncio.Future[list[Array]]
    since: float = field(default_factory=time.monotonic)

    def end(self, outcome: Outcome) -> None:
        """Give the handle back, and the outcome to whoever still waits for it."""
        self.handle.release()
        if self.future.done():
            return
        if isinstance(outcome, list):
            self.future.set_result(outcome)
        else:
            self.future.set_exception(outcome)


class Batch:
    """Requests that share a run.

    Attributes:
        due: whether it need not wait for more requests.
        taken: when it was taken from its queue, on the monotonic clock.
        inline: whether TensorFlow runs it on the thread that asks, without a switch to another.
        cost_s: seconds that its run took.
        is_momentary: whether it will be over sooner than another thread could be woken.
    """

    __slots__ = (
        "cost_s",
        "due",
        "fetches",
        "inline",
        "is_momentary",
        "limits",
        "queue",
        "rows",
        "taken",
        "tasks",
        "timer",
        "wait_s",
    )

    def __init__(self, queue: BatchQueue) -> None:
        self.queue = queue
        self.fetches = queue.fetches
        self.limits = queue.limits
        self.tasks: list[Task] = []
        self.rows = 0
        self.wait_s = queue.limits.timeout_s if queue.limits.asked else queue.patience_s
        self.due = self.wait_s <= 0
        self.timer: asyncio.TimerHandle | None = None
        self.taken = 0.0
        self.inline = self.is_momentary = False
        self.cost_s = 0.0

    def run(self) -> list[Outcome]:
        """Run it, on any thread; one outcome a task."""
        deadlines = [task.deadline for task in self.tasks]
        latest = None if None in deadlines else max(deadline for deadline in deadlines if deadline is not None)
        servable = self.tasks[0].handle.servable

        def once(feeds: Mapping[str, Array]) -> list[Array]:
            return servable.run(feeds, self.fetches, latest, inline=self.inline)

        # What runs on this thread alone costs this thread's time; waiting for the interpreter is not the run's.
        clock = time.thread_time if self.inline else time.monotonic
        begin = clock()
        try:
            requests = [task.feeds for task in self.tasks]
            if len(requests) > 1 or self.limits.asked:
                return run_together(once, requests, self.limits)
            return [run_alone(once, requests[0])]
        except Exception as error:  # no memory, say: the callers must not be left waiting
            return [Internal(f"{type(error).__name__}: {error}")] * len(self.tasks)
        finally:
            self.cost_s = clock() - begin

    def abandon(self, error: ModelportError) -> None:
        """Answer whoever waits with an error; the run goes on, and the version is kept for it."""
        for task in self.tasks:
            if not task.future.done():
                task.future.set_exception(error)

    def end(self, outcomes: Sequence[Outcome]) -> None:
        """Tell each task its outcome; on the event loop."""
        self.queue.ran(self)
        for task, outcome in zip(self.tasks, outcomes, strict=True):
            task.end(outcome)


class BatchQueue:
    """Batches of one likeness, oldest first; the last one still takes requests.

    Args:
        fetches: the tensors that are asked for.
        limits: how requests are put together.
        merges: whether requests share runs at all.
        brief: whether the time of a run follows from the shapes of its inputs, so that it can be known before.
        row_bytes: of one row's inputs.
    """

    __slots__ = (
        "_batches",
        "_company",
        "_largest",
        "_most_rows",
        "_seconds",
        "brief",
        "fetches",
        "limits",
        "merges",
        "running",
    )

    def __init__(
        self, fetches: Sequence[str], limits: BatchLimits, *, merges: bool, brief: bool, row_bytes: int = 0
    ) -> None:
        self.fetches = fetches
        self.limits = limits
        self.merges = merges
        self.brief = brief
        self._most_rows = _MOMENT_BYTES // max(row_bytes, 1)  # of a run on the event loop
        self.running = 0
        self._batches: deque[Batch] = deque()
        self._seconds = 2 * _MOMENT_S  # of a run, lately
        self._largest = 0  # rows of the largest run that was over in a moment
        self._company = 1  # requests that shared the last run

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits and nothing runs."""
        return not self._batches and not self.running

    @property
    def patience_s(self) -> float:
        """How long a batch waits for as many requests as shared the last run: each run costs more than a place in one,
        and callers that were answered together mostly ask again together."""
        return _PATIENCE_S if self._company > 1 and self._seconds < _BRIEF_S else 0.0

    @property
    def is_ready(self) -> bool:
        """Whether its first batch should run now.

        A queue that merges unasked has one brief run under way at a time: what comes meanwhile shares the next one,
        which costs less than a second run beside the first.
        """
        if not self._batches:
            return False
        if self.running and self.merges and not self.limits.asked and self._seconds < _BRIEF_S:
            return len(self._batches) > 1
        return self._batches[0].due

    def add(self, task: Task, wake: Callable[[Batch], asyncio.TimerHandle]) -> None:
        """Put a request into the last batch, or into a new one where that is full.

        Args:
            task: the request.
            wake: called for a new batch that waits for company: has it made due after the limits' timeout.

        Raises:
            Unavailable: as many batches wait as may.
        """
        rows, batches, limits = task.rows or 0, self._batches, self.limits
        joins = bool(batches) and self.merges and rows > 0 and batches[-1].rows + rows <= limits.max_run_rows
        if not joins:
            if len(batches) >= limits.max_batches:
                raise Unavailable(
                    "The batch scheduling queue to which this task was submitted is full; currently "
                    f"{len(batches)} batches enqueued and max_enqueued_batches is {limits.max_batches}"
                )
            if batches:
                batches[-1].due = True  # closed: nobody can join it any more
            batches.append(Batch(self))
        batch = batches[-1]
        batch.tasks.append(task)
        batch.rows += rows
        if batch.rows >= limits.max_run_rows or (not limits.asked and len(batch.tasks) >= self._company):
            batch.due = True
        elif not batch.due and batch.timer is None:
            batch.timer = wake(batch)

    def take(self) -> tuple[Batch, int]:
        """Take the first batch out, to be run; what nobody waits for any more, or is too late, has been ended.

        Returns:
            The batch, perhaps without tasks, and how many tasks left the queue.
        """
        batch = self._batches.popleft()
        if batch.timer is not None:
            batch.timer.cancel()
        waited = len(batch.tasks)
        batch.taken = time.monotonic()
        batch.tasks = self._wanted(batch.tasks, batch.taken)
        if batch.tasks:
            self._company = len(batch.tasks)
            self.running += 1
            batch.inline = self.brief and self._seconds < _BRIEF_S
            batch.is_momentary = (
                batch.inline and self._seconds < _MOMENT_S and 0 < batch.rows <= min(self._largest, self._most_rows)
            )
        return batch, waited

    def ran(self, batch: Batch) -> None:
        """Note that a batch was run, and what that cost."""
        self.running -= 1
        self._seconds += (batch.cost_s - self._seconds) / _SMOOTHING
        if batch.cost_s < _MOMENT_S:
            self._largest = max(self._largest, 2 * batch.rows)

    def drop_expired(self) -> int:
        """End what has passed its deadline while it waits, instead of when its turn comes; how many that were."""
        now, dropped = time.monotonic(), 0
        for batch in self._batches:
            before = len(batch.tasks)
            batch.tasks = self._wanted(batch.tasks, now)
            dropped += before - len(batch.tasks)
            batch.rows = sum(task.rows or 0 for task in batch.tasks)
        self._batches = deque(batch for batch in self._batches if batch.tasks)
        return dropped

    def abandon(self, error: ModelportError) -> None:
        """End all that waits with an error."""
        for batch in self._batches:
            for task in batch.tasks:
                task.end(error)
        self._batches.clear()

    def _wanted(self, tasks: list[Task], now: float) -> list[Task]:
        kept = []
        for task in tasks:
            if task.future.done():
                task.handle.release()
            elif task.deadline is not None and task.deadline <= now:
                task.end(self._too_late())
            else:
                kept.append(task)
        return kept

    def _too_late(self) -> ModelportError:
        if self.limits.asked:
            return ResourceExhausted("Run() timeout exceeded while waiting in batching queue")
        return DeadlineExceeded("Timed out waiting for notification")  # the text of the real server
