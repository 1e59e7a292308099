"""The states of a version and the board on which the manager publishes them.

    START ──► LOADING ──► AVAILABLE ──► UNLOADING ──► END (OK)
      └──────────┴─ failed or withdrawn ─────────────► END (with the error)

AVAILABLE is posted after handles can be had, UNLOADING before they cannot: a state is visible only when it is true.
Versions that ended stay on the board until the process exits, as the real server keeps them.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from modelport.errors import Code


class State(IntEnum):
    """Numbers of the API's `ModelVersionStatus.State`."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


class ServableId(NamedTuple):
    """One version of one model."""

    name: str
    version: int

    def __str__(self) -> str:
        return f"{{name: {self.name} version: {self.version}}}"


@dataclass(frozen=True)
class VersionStatus:
    """What the board says of a version; `code` and `message` are those of the last failure."""

    state: State
    code: Code = Code.OK
    message: str = ""


class StateBoard:
    """The latest status of every version ever managed. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._models: dict[str, dict[int, VersionStatus]] = {}
        self._listeners: list[Callable[[ServableId, VersionStatus], None]] = []

    def post(self, servable: ServableId, status: VersionStatus) -> None:
        """Publish a status; listeners are called from this thread, outside the lock."""
        with self._lock:
            self._models.setdefault(servable.name, {})[servable.version] = status
        for listener in self._listeners:
            with contextlib.suppress(Exception):  # whoever listens cannot stop what is reported
                listener(servable, status)

    def subscribe(self, listener: Callable[[ServableId, VersionStatus], None]) -> None:
        """Call `listener(servable, status)` on every later post; it must be quick."""
        self._listeners.append(listener)

    def entries(self) -> list[tuple[ServableId, VersionStatus]]:
        """The latest status of every version."""
        with self._lock:
            return [(ServableId(name, v), s) for name, versions in self._models.items() for v, s in versions.items()]

    def versions(self, name: str) -> dict[int, VersionStatus]:
        """A copy of the statuses of a model's versions, highest version first; empty for an unknown model."""
        with self._lock:
            return dict(sorted(self._models.get(name, {}).items(), reverse=True))

    def status(self, servable: ServableId) -> VersionStatus | None:
        """The status of one version."""
        with self._lock:
            return self._models.get(servable.name, {}).get(servable.version)
