"""Steps carried out by awaiting each."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from modelport.errors import ModelportError
from modelport_client.asking.replicas import Replicas
from modelport_client.asking.steps import Ask, Pause, Steps, T
from modelport_client.driving.hedging import HEDGED, NO_ANSWER
from modelport_client.transports.deadline import Deadline


class AsyncTransport(Protocol):
    """One server, spoken to in one way."""

    @property
    def opened(self) -> int:
        """How many connections were opened so far."""

    async def perform(
        self, method: str, arguments: Sequence[Any], deadline: Deadline, headers: Mapping[str, str]
    ) -> Any:
        """What the answer to a call says. Errors are those of `modelport.errors`."""

    async def close(self) -> None:
        """Give the connections back."""


class AsyncDriver:
    """Carries steps out over the transports of one client, in one event loop.

    Args:
        transports: one for each replica.
        replicas: says whose turn it is.
        hedge_after: seconds after which a prediction is asked for a second time; None for never.
        under_way: how many requests may be under way at a time; others wait for their turn.
    """

    def __init__(
        self, transports: Sequence[AsyncTransport], replicas: Replicas, hedge_after: float | None, under_way: int
    ) -> None:
        self._transports = transports
        self._replicas = replicas
        self._hedge_after = hedge_after
        self._under_way = under_way
        self._turns = asyncio.Semaphore(under_way)
        self._closed = asyncio.Event()

    async def run(self, steps: Steps[T], headers: Mapping[str, str]) -> T:
        """What the steps return; the headers go with each request."""
        error: ModelportError | None = None
        result: Any = None
        try:
            while True:
                step = steps.send(result) if error is None else steps.throw(error)
                result, error = None, None
                try:
                    if isinstance(step, Ask):
                        result = await self._ask(step, headers)
                    elif isinstance(step, Pause):
                        result = await self._pause(step.seconds)
                    else:
                        result = await self._together(step.steps, step.under_way, headers)
                except ModelportError as caught:
                    error = caught
        except StopIteration as done:
            return done.value
        finally:
            steps.close()

    async def close(self) -> None:
        """Close the transports; what waits ends."""
        self._closed.set()
        for transport in self._transports:
            await transport.close()

    async def _pause(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                return await self._closed.wait()
        except TimeoutError:
            return False

    async def _ask(self, ask: Ask, headers: Mapping[str, str]) -> Any:
        if self._hedge_after is None or ask.method not in HEDGED:
            return await self._send(ask, headers)
        attempts = {asyncio.create_task(self._send(ask, headers))}
        try:
            done, late = await asyncio.wait(attempts, timeout=min(self._hedge_after, max(0.0, ask.deadline.left)))
            if not done and ask.deadline.left > 0:
                attempts.add(asyncio.create_task(self._send(ask, headers)))
                done, late = await asyncio.wait(attempts, return_when=asyncio.FIRST_COMPLETED)
            while late and all(isinstance(one.exception(), NO_ANSWER) for one in done):
                now, late = await asyncio.wait(late, return_when=asyncio.FIRST_COMPLETED)
                done |= now
            return await min(done, key=lambda one: isinstance(one.exception(), NO_ANSWER))
        finally:
            for attempt in attempts:
                attempt.cancel()
            await asyncio.gather(*attempts, return_exceptions=True)

    async def _send(self, ask: Ask, headers: Mapping[str, str]) -> Any:
        await self._turn(ask.deadline)
        replica = self._replicas.choose() if ask.replica is None else ask.replica
        try:
            answer = await self._transports[replica].perform(ask.method, ask.arguments, ask.deadline, headers)
        except NO_ANSWER as error:
            self._replicas.failed(replica, error)
            raise
        finally:
            self._turns.release()
        self._replicas.answered(replica)
        return answer

    async def _turn(self, deadline: Deadline) -> None:
        if not self._turns.locked():
            await self._turns.acquire()  # at once
            return
        try:
            async with asyncio.timeout(deadline.check()):
                await self._turns.acquire()
        except TimeoutError as error:
            raise deadline.exceeded(f"{self._under_way} calls of this client were under way all the time.") from error

    async def _together(self, several: Sequence[Steps[T]], under_way: int, headers: Mapping[str, str]) -> list[T]:
        turns = asyncio.Semaphore(under_way)

        async def one(steps: Steps[T]) -> T:
            async with turns:
                return await self.run(steps, headers)

        tasks = [asyncio.create_task(one(steps)) for steps in several]
        try:
            return await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
