"""The client's logic as steps: generators that yield what they want done, and are sent what came of it.

`Client` carries the steps out by waiting, `AsyncClient` by awaiting; neither has any logic of its own. An error of
`modelport.errors` is thrown into the generator where it asked; all others end it.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from modelport_client.transports.deadline import Deadline

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ask:
    """One request to a server: a method of the transports' protocols with its arguments. What it read is sent back."""

    method: str
    arguments: tuple[Any, ...]
    deadline: Deadline


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
