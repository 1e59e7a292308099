"""The client's logic as steps: generators that yield what they want done, and are sent what came of it.

`Client` carries the steps out by waiting, `AsyncClient` by awaiting; neither has any logic of its own. An error of
`modelport.errors` is thrown into the generator where it asked; all others end it.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, TypeVar

from modelport.errors import ModelportError
from modelport_client.transports.deadline import Deadline

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ask:
    """One request to a server: a method of the transports' protocols with its arguments. What it read is sent back.

    `replica` is the number of the one that is asked; by default whose turn it is.
    """

    method: str
    arguments: tuple[Any, ...]
    deadline: Deadline
    replica: int | None = None


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing for some seconds. True is sent back when the client is closed meanwhile."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Together:
    """Several steps at a time, so many of them under way at most. Their results are sent back in order.

    The first error ends those that are under way.
    """

    steps: Sequence[Steps[Any]]
    under_way: int


Steps: TypeAlias = Generator[Ask | Pause | Together, Any, T]


def on_replica(steps: Steps[T], replica: int) -> Steps[T]:
    """The same steps, with all requests to one replica."""
    result: Any = None
    error: ModelportError | None = None
    while True:
        try:
            step = steps.send(result) if error is None else steps.throw(error)
        except StopIteration as done:
            return done.value
        result, error = None, None
        try:
            result = yield replace(step, replica=replica) if isinstance(step, Ask) else step
        except ModelportError as caught:
            error = caught
