"""How long single calls take: the first one after a load, and many after it."""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np

from modelport_client import Client
from modelport_export.proof.rows import Rows
from modelport_export.signatures import Array

CALLS = 50
LATENCY_S = 5.0  # after which no further single call is measured


def first(client: Client, name: str, signature: str, rows: Rows, inputs: Mapping[str, Array], timeout: float) -> float:
    """Milliseconds of one request of one unit; nothing else of the client's is then to be done for the first time."""
    client.metadata(name)
    row = rows.take(inputs, [0])
    begin = time.perf_counter()
    client.predict(name, row, signature=signature, timeout=timeout)
    return (time.perf_counter() - begin) * 1e3


def steady(
    client: Client, name: str, signature: str, rows: Rows, inputs: Mapping[str, Array], timeout: float
) -> tuple[dict[str, float], list[float]]:
    """Milliseconds of requests of one unit, one after the other, as a client of the same machine sees them.

    Returns:
        Figures of all, and each.
    """
    count = rows.count(inputs)
    seconds: list[float] = []
    end = time.monotonic() + LATENCY_S
    while len(seconds) < CALLS and (time.monotonic() < end or not seconds):
        row = rows.take(inputs, [len(seconds) % count])
        begin = time.perf_counter()
        client.predict(name, row, signature=signature, timeout=timeout)
        seconds.append(time.perf_counter() - begin)
    p50, p99 = np.percentile(seconds, (50, 99)) * 1e3
    return {"p50": float(p50), "p99": float(p99), "calls": len(seconds)}, [round(one * 1e3, 3) for one in seconds]
