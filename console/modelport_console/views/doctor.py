"""What the doctor finds: of the repository and of each server, looked for once for all who ask."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from modelport.errors import ModelportError
from modelport_console.settings import Settings
from modelport_release.doctor.examining import examine
from modelport_release.doctor.finding import Finding, in_order

_FRESH_S = 5.0  # within which nobody looks again: a repository of a thousand versions takes seconds


@dataclass(frozen=True)
class Examined:
    """What was found, what could not be looked at, and how long it took."""

    findings: Sequence[Finding]
    faults: Sequence[str]
    seconds: float
    looked_at: Sequence[str]


class Doctor:
    """Examines what a console stands beside."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._last: tuple[float, Examined] | None = None

    def examine(self, models: Sequence[str]) -> Examined:
        """All findings, the worst first."""
        with self._lock:
            if self._last is None or time.monotonic() - self._last[0] > _FRESH_S:
                found = self._examine(models)
                self._last = time.monotonic(), found
            return self._last[1]

    def _examine(self, models: Sequence[str]) -> Examined:
        begin, findings, faults = time.monotonic(), list[Finding](), list[str]()
        places = [] if self._settings.repository is None else [str(self._settings.repository.root)]
        places += [] if self._settings.config is None else [str(self._settings.config)]
        places += [server.address for server in self._settings.servers]
        for place in places:
            try:
                findings += examine(place, models=list(models))
            except ModelportError as error:
                faults.append(f"{place}: {error.message}")
        return Examined(in_order(findings), faults, time.monotonic() - begin, places)
