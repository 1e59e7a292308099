"""Steps carried out by waiting for each: threads where several are under way."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, wait
from functools import partial
from typing import Any, Protocol

from modelport.errors import ModelportError
from modelport_client.asking.replicas import Replicas
from modelport_client.asking.steps import Ask, Pause, Steps, T
from modelport_client.driving.hedging import HEDGED, NO_ANSWER
from modelport_client.driving.threads import in_order, in_thread
from modelport_client.transports.deadline import Deadline


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

    def _ask(self, ask: Ask, headers: Mapping[str, str]) -> Any:
        if self._hedge_after is None or ask.method not in HEDGED:
            return self._send(ask, headers)
        first = in_thread(self._send, ask, headers)
        done, late = wait([first], min(self._hedge_after, max(0.0, ask.deadline.left)))
        if not done and ask.deadline.left > 0:
            second = in_thread(self._send, ask, headers)
            done, late = wait([first, second], max(0.0, ask.deadline.left), FIRST_COMPLETED)
        while late and all(isinstance(one.exception(), NO_ANSWER) for one in done):
            now, late = wait(late, max(0.0, ask.deadline.left), FIRST_COMPLETED)
            if not now:
                raise ask.deadline.exceeded()
            done |= now
        return min(done, key=lambda one: isinstance(one.exception(), NO_ANSWER)).result()

    def _send(self, ask: Ask, headers: Mapping[str, str]) -> Any:
        replica = self._replicas.choose() if ask.replica is None else ask.replica
        try:
            answer = self._transports[replica].perform(ask.method, ask.arguments, ask.deadline, headers)
        except NO_ANSWER as error:
            self._replicas.failed(replica, error)
            raise
        self._replicas.answered(replica)
        return answer

    def _together(self, several: Sequence[Steps[T]], under_way: int, headers: Mapping[str, str]) -> list[T]:
        return list(in_order((partial(self.run, steps, headers) for steps in several), under_way))
