"""Carrying calls over a server that goes away and comes back."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TypeVar

from modelport.errors import DeadlineExceeded, ModelportError, Unavailable
from modelport_client.asking.replicas import Replicas
from modelport_client.asking.steps import Pause, Steps
from modelport_client.transports.deadline import Deadline

T = TypeVar("T")

_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 1.0


class Retries:
    """Asks again, until the call's deadline, while nobody answers. Thread-safe.

    Where there are several replicas the next one is asked at once. Else only a server that has answered this client
    before is waited for: it is being restarted, or refuses for the moment (UNAVAILABLE). One that never answered is a
    wrong address more often than not, and fails at once.

    Pauses double from 50 ms to 1 s, and are drawn from the upper half at random, so that the clients of a server that
    comes back do not all come at once.

    Args:
        wanted: False to ask once only.
        replicas: those that may be asked.
    """

    def __init__(self, wanted: bool, replicas: Replicas) -> None:
        self._wanted = wanted
        self._answered = False
        self._replicas = replicas

    def call(self, attempt: Callable[[], Steps[T]], deadline: Deadline) -> Steps[T]:
        """What the steps of `attempt` return.

        Raises:
            Unavailable: nobody answered in time; the last reason.
            DeadlineExceeded: no time was left, or the last attempt ran out of it; why the one before failed, too.
            ModelportError: what `attempt` raises else, at once.
        """
        pause = _FIRST_PAUSE_S
        others = len(self._replicas) - 1
        last: Unavailable | None = None
        while True:
            try:
                deadline.check()
                answer = yield from attempt()
            except Unavailable as error:
                last = error
                if self._wanted and others > 0:
                    others -= 1
                    continue
                wait = pause * random.uniform(0.5, 1)  # noqa: S311  # no secret
                if not (self._wanted and self._answered) or wait >= deadline.left:
                    raise
                if (yield Pause(wait)):
                    raise
                pause = min(2 * pause, _LONGEST_PAUSE_S)
                others = len(self._replicas) - 1
            except DeadlineExceeded as error:
                if last is None:
                    raise
                raise DeadlineExceeded(f"{error.message} Before that: {last.message}") from error
            except ModelportError:  # a refusal is an answer too
                self._answered = True
                raise
            else:
                self._answered = True
                return answer
