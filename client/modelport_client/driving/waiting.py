"""Steps carried out by waiting for each: threads where several are under way."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from typing import Any, Protocol

from modelport.errors import ModelportError, Unavailable
from modelport_client.asking.replicas import Replicas
from modelport_client.asking.steps import Ask, Pause, Steps, T
from modelport_client.driving.hedging import HEDGED
from modelport_client.transports.deadline import Deadline

_HEDGING_THREADS = 256  # twice as many as a process sensibly has calls under way


class Transport(Protocol):
    """One server, spoken to in one way."""

    @property
    def opened(self) -> int:
        """How many connections were opened so far."""

    def perform(self, method: str, arguments: Sequence[Any], deadline: Deadline, headers: Mapping[str, str]) -> Any:
        """What the answer to a call says. Errors are those of `modelport.errors`."""

    def close(self) -> None:
        """Give the connections back."""


class Driver:
    """Carries steps out over the transports of one client. Thread-safe.

    Args:
        transports: one for each replica.
        replicas: says whose turn it is.
        hedge_after: seconds after which a prediction is asked for a second time; None for never.
    """

    def __init__(self, transports: Sequence[Transport], replicas: Replicas, hedge_after: float | None) -> None:
        self._transports = transports
        self._replicas = replicas
        self._hedge_after = hedge_after
        self._hedging: ThreadPoolExecutor | None = None
        self._starting = threading.Lock()
        self._closed = threading.Event()

    def run(self, steps: Steps[T], headers: Mapping[str, str]) -> T:
        """What the steps return; the headers go with each request."""
        error: ModelportError | None = None
        result: Any = None
        try:
            while True:
                step = steps.send(result) if error is None else steps.throw(error)
                result, error = None, None
                try:
                    if isinstance(step, Ask):
                        result = self._ask(step, headers)
                    elif isinstance(step, Pause):
                        result = self._closed.wait(step.seconds)
                    else:
                        result = self._together(step.steps, step.under_way, headers)
                except ModelportError as caught:
                    error = caught
        except StopIteration as done:
            return done.value
        finally:
            steps.close()

    def close(self) -> None:
        """Close the transports; what waits ends."""
        self._closed.set()
        for transport in self._transports:
            transport.close()
        if self._hedging is not None:
            self._hedging.shutdown(wait=False, cancel_futures=True)

    def _ask(self, ask: Ask, headers: Mapping[str, str]) -> Any:
        if self._hedge_after is None or ask.method not in HEDGED:
            return self._send(ask, headers)
        first = self._begin(self._send, ask, headers)
        done, _ = wait([first], min(self._hedge_after, max(0.0, ask.deadline.left)))
        if done or ask.deadline.left <= 0:
            return first.result()
        both = {first, self._begin(self._send, ask, headers)}
        done, late = wait(both, return_when=FIRST_COMPLETED)
        good = [one for one in done if one.exception() is None]
        return (good or [*late, *done])[0].result()

    def _send(self, ask: Ask, headers: Mapping[str, str]) -> Any:
        replica = self._replicas.choose()
        try:
            answer = self._transports[replica].perform(ask.method, ask.arguments, ask.deadline, headers)
        except Unavailable:
            self._replicas.failed(replica)
            raise
        self._replicas.answered(replica)
        return answer

    def _begin(self, function: Callable[..., T], *arguments: Any) -> Future[T]:
        with self._starting:
            if self._hedging is None:
                self._hedging = ThreadPoolExecutor(_HEDGING_THREADS, "modelport-hedging")
        try:
            return self._hedging.submit(copy_context().run, function, *arguments)
        except RuntimeError as error:  # it is shut down
            raise Unavailable(f"The client was closed: {error}") from error

    def _together(self, several: Sequence[Steps[T]], under_way: int, headers: Mapping[str, str]) -> list[T]:
        with ThreadPoolExecutor(min(under_way, len(several)), "modelport-parts") as pool:
            futures = [pool.submit(copy_context().run, self.run, steps, headers) for steps in several]
            done, waiting = wait(futures, return_when=FIRST_EXCEPTION)
            for future in waiting:
                future.cancel()
            for future in done:
                if future.exception() is not None:
                    future.result()
            return [future.result() for future in futures]
