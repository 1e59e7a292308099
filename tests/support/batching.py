"""A version whose runs wait until they are let go (`graphs.gated`), under a scheduler."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from modelport_serving.batching.batch_queue import Batch
from modelport_serving.batching.scheduler import Scheduler
from modelport_serving.core.harness import Handle, Harness
from modelport_serving.core.servable_state import ServableId
from modelport_serving.servables.batch_limits import BatchLimits
from modelport_serving.servables.saved_model_session import GraphSession
from modelport_serving.servables.servable import Servable

M = ServableId("m", 1)


class Stage:
    """One version under a scheduler; belongs to the event loop that it is used on.

    Attributes:
        held: handles that are out.
        runs: the batches that were run, how many tasks each.
    """

    def __init__(self, files: Path, limits: BatchLimits | None = None, **options: Any) -> None:
        self.servable = Servable(M, files, GraphSession(files), 0.0, limits)
        self.held = 0
        self.runs: list[int] = []
        self.scheduler = Scheduler(**{"threads": 1, "watch": self._watch, **options})

    def _watch(self, batch: Batch, outcomes: Sequence[object], seconds: float) -> None:
        assert len(outcomes) == len(batch.tasks)
        assert seconds >= 0
        self.runs.append(len(batch.tasks))

    def _give_back(self, harness: Harness) -> None:
        self.held -= 1

    async def ask(
        self,
        *values: bytes,
        signature: str = "serving_default",
        deadline: float | None = None,
        merges: bool = True,
        steady: bool = False,
        fetches: Sequence[str] | None = None,
    ) -> tuple[list[float], list[int]]:
        """The numbers, and how many rows the run had for each."""
        chosen = self.servable.signatures[signature]
        self.held += 1
        handle = Handle(self._give_back, Harness(M, self.servable.path, 1), self.servable)
        x = np.empty(len(values), object)
        x[:] = values
        names = fetches or [info.tensor for info in chosen.outputs.values()]
        feeds = {chosen.inputs["x"].tensor: x}
        arrays = await self.scheduler.run(handle, feeds, names, deadline, "Predict", merges=merges, steady=steady)
        found = dict(zip(names, (array.tolist() for array in arrays), strict=True))
        return tuple(found.get(info.tensor) for info in (chosen.outputs["y"], chosen.outputs["company"]))

    def begin(self, *values: bytes, **options: Any) -> asyncio.Task:
        return asyncio.get_running_loop().create_task(self.ask(*values, **options))

    async def begin_run(self, *values: bytes, **options: Any) -> asyncio.Task:
        """A request whose run has begun, and waits for its token."""
        task = self.begin(*values, **options)
        await until(lambda: self.held and not self.scheduler.waiting)
        return task

    async def begin_waiting(self, *requests: Sequence[bytes], **options: Any) -> list[asyncio.Task]:
        """Requests that wait for their run."""
        before = self.scheduler.waiting
        tasks = [self.begin(*values, **options) for values in requests]
        await until(lambda: self.scheduler.waiting == before + len(requests))
        return tasks

    def go(self, runs: int) -> None:
        """Let so many runs end."""
        signature = self.servable.signatures["go"]
        tokens = {signature.inputs["tokens"].tensor: np.zeros(runs, np.int32)}
        self.servable.run(tokens, [signature.outputs["sent"].tensor])

    def close(self) -> None:
        self.go(100)  # for runs that wait still
        assert self.scheduler.stop(10)
        self.servable.close()


async def until(condition: Callable[[], object]) -> None:
    """Let the event loop go on until the condition holds."""
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.002)


async def outcomes(tasks: Sequence[asyncio.Task]) -> list[Any]:
    """Answers and errors."""
    async with asyncio.timeout(30):
        return await asyncio.gather(*tasks, return_exceptions=True)
