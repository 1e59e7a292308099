"""What other programs took of the machine while we measured: figures of a busy machine are worth less."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import psutil


class Cores:
    """Counts from when it is made.

    Args:
        ours: each gives the seconds of processor time that a part of the benchmark has used so far.
    """

    def __init__(self, *ours: Callable[[], float]) -> None:
        self._ours = ours
        self._begin = (time.monotonic(), _machine_s(), self._ours_s())

    def others(self) -> float:
        """The share of all cores that went to others, 0 to 1."""
        wall, machine, ours = time.monotonic(), _machine_s(), self._ours_s()
        before_wall, before_machine, before_ours = self._begin
        taken = (machine - before_machine) - (ours - before_ours)
        return max(0.0, taken) / ((wall - before_wall) * (os.cpu_count() or 1))

    def _ours_s(self) -> float:
        return sum(part() for part in self._ours)


def own_s() -> float:
    """Processor time of this process, and of those that it has started and that have ended."""
    return sum(os.times()[:4])


def _machine_s() -> float:
    times = psutil.cpu_times()
    idle = times.idle + times.iowait
    return float(sum(times) - idle - times.guest - times.guest_nice)  # guests are part of user and nice
