"""A lane: the waiting requests that may share a run, gathered into batches.

Requests are in one lane when they ask the same version for the same outputs with inputs of the same likeness. All of a
lane's state belongs to the event loop's thread; only `Batch.run` runs elsewhere.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from modelport.errors import Internal, ModelportError, Unavailable
from modelport_serving.batching import Limits
from modelport_serving.joining import Outcome, Trust, run_batched, run_joined
from modelport_serving.manager import Handle

Array = np.ndarray[Any, np.dtype[Any]]

_FEW_ROWS = 64


class Task:
    """One waiting request."""

    __slots__ = ("api", "deadline", "feeds", "future", "handle", "rows", "since")

    def __init__(
        self,
        handle: Handle,
        feeds: Mapping[str, Array],
        rows: int,
        deadline: float | None,
        api: str,
        future: asyncio.Future[Any],
    ) -> None:
        self.handle = handle
        self.feeds = feeds
        self.rows = rows
        self.deadline = deadline
        self.api = api
        self.future = future
        self.since = time.monotonic()


class Batch:
    """Requests that will share a run."""

    __slots__ = ("due", "lane", "patience_s", "rows", "taken", "tasks", "timer")

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self.tasks: list[Task] = []
        self.rows = 0
        self.taken = 0.0  # when a thread took it
        self.timer: asyncio.TimerHandle | None = None  # makes it due
        self.patience_s = lane.limits.timeout_s if lane.limits.asked else lane.trust.patience_s()
        self.due = self.patience_s <= 0

    @property
    def is_momentary(self) -> bool:
        """Whether it is run sooner than handed to a thread; few rows only, so that the event loop is never held up."""
        if not self.lane.trust.is_brief or self.rows > _FEW_ROWS:
            return False
        size = sum(array.size for task in self.tasks for array in task.feeds.values())
        first = self.tasks[0]
        return first.handle.servable.is_momentary(tuple(first.feeds), self.lane.fetches, size)

    def run(self) -> list[Outcome]:
        """Run it, on any thread; one outcome a task."""
        deadlines = [task.deadline for task in self.tasks]
        latest = None if None in deadlines else max(deadline for deadline in deadlines if deadline is not None)
        servable, fetches = self.tasks[0].handle.servable, self.lane.fetches
        requests = [task.feeds for task in self.tasks]

        def once(feeds: Mapping[str, Array]) -> list[Array]:
            return servable.run(feeds, fetches, latest)

        try:
            if self.lane.limits.asked:
                return run_batched(once, requests, self.lane.limits)
            if not self.lane.trust.joins:  # found out since they were gathered
                return [run_joined(once, [feeds])[0] for feeds in requests]
            outcomes = run_joined(once, requests)
            return self.lane.trust.check(once, requests, outcomes)
        except Exception as error:  # a promise broken inside must not leave the callers waiting
            known = error if isinstance(error, ModelportError) else Internal(f"{type(error).__name__}: {error}")
            return [known] * len(self.tasks)


class Lane:
    """Batches of one likeness, oldest first; the last one still takes requests."""

    __slots__ = ("batches", "fetches", "key", "limits", "running", "trust")

    def __init__(self, key: Any, fetches: Sequence[str], limits: Limits, trust: Trust) -> None:
        self.key = key
        self.fetches = fetches
        self.limits = limits
        self.trust = trust
        self.running = 0
        self.batches: deque[Batch] = deque()

    @property
    def is_ready(self) -> bool:
        """Whether its first batch should run now.

        A lane that joins unasked has one brief run under way at a time: what comes meanwhile shares the next one, which
        costs less than a second run beside the first.
        """
        if not self.batches:
            return False
        first = self.batches[0]
        if self.running and not self.limits.asked and self.trust.is_brief:
            return len(self.batches) > 1
        return first.due

    def batch_for(self, rows: int) -> Batch:
        """The batch that takes a request of so many rows; a new one where the last is full.

        Raises:
            Unavailable: as many batches wait as may.
        """
        batches, limits = self.batches, self.limits
        if batches and batches[-1].rows + rows <= limits.max_run_rows and self.trust.joins and rows:
            return batches[-1]
        if len(batches) >= limits.max_batches:
            raise Unavailable(
                "The batch scheduling queue to which this task was submitted is full; currently "
                f"{len(batches)} batches enqueued and max_enqueued_batches is {limits.max_batches}"
            )
        if batches:
            batches[-1].due = True  # closed: nobody can join it any more
        batches.append(Batch(self))
        return batches[-1]
