"""A run second by second."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Second:
    """Of the requests that were due in one second: how many, how many failed, and how long the answered ones took.

    `answered` counts the answers that came in this second, whenever they were due.
    """

    second: int
    due: int
    answered: int
    failed: int
    p50_ms: float | None
    p99_ms: float | None
    longest_ms: float | None


def timeline(due: Any, ended: Any, is_ok: Any, begin: float, seconds: float) -> Sequence[Second]:
    """The seconds of a run."""
    count = max(1, int(np.ceil(seconds)))
    place = np.minimum((due - begin).astype(int), count - 1)
    came = (ended - begin).astype(int)
    latencies = (ended - due) * 1e3
    order = np.argsort(place, kind="stable")
    edges = np.searchsorted(place[order], np.arange(count + 1))
    answered = np.bincount(np.clip(came[is_ok], 0, count), minlength=count + 1)
    told = []
    for second in range(count):
        mine = order[edges[second] : edges[second + 1]]
        ok = latencies[mine][is_ok[mine]]
        quantiles = np.percentile(ok, [50, 99, 100]).round(3).tolist() if len(ok) else [None, None, None]
        told.append(Second(second, len(mine), int(answered[second]), len(mine) - len(ok), *quantiles))
    return told
