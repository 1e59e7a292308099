"""What the manager keeps of one version, and the handle by which a request holds on to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Generic, Protocol, TypeVar

from modelport.errors import ModelportError
from modelport_serving.core.servable_state import ServableId
from modelport_serving.core.version_policy import Phase, Snapshot


class Closable(Protocol):
    """All that the manager knows of a loaded version."""

    def close(self) -> None:
        """Free it."""


S = TypeVar("S", bound=Closable)


@dataclass(eq=False)
class Harness(Generic[S]):
    """One managed version; every field is guarded by the manager's lock."""

    servable_id: ServableId
    path: Path
    attempts_left: int  # to load it, the one under way included
    aspired: bool = True
    withdrawn: bool = False  # a load that is under way is not wanted any more
    phase: Phase = Phase.NEW
    servable: S | None = None
    handles: int = 0
    retry_at: float | None = None  # on the monotonic clock, while the load waits for its next attempt
    failure: ModelportError | None = None  # of the last attempt

    def snapshot(self) -> Snapshot:
        """What the policy sees."""
        return Snapshot(self.servable_id, self.phase, self.aspired)


class Handle(Generic[S]):
    """Keeps a version loaded while a request uses it: `with manager.handle("m") as servable: …`."""

    __slots__ = ("_give_back", "_harness", "servable")

    def __init__(self, give_back: Callable[[Harness[S]], None], harness: Harness[S], servable: S) -> None:
        self._give_back = give_back
        self._harness: Harness[S] | None = harness
        self.servable = servable

    def __enter__(self) -> S:
        return self.servable

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def release(self) -> None:
        """Give the handle back; a second call does nothing."""
        harness, self._harness = self._harness, None
        if harness is not None:
            self._give_back(harness)
