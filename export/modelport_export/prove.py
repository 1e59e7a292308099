"""Prove a staged version: load it in a fresh process, ask it, and hold the answers against the Keras model's."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from modelport_client import Client
from modelport_export import parity
from modelport_export.servable import Servable
from modelport_export.served import serve
from modelport_export.signatures import SERVING_DEFAULT, Array

CALLS = 50
_CALL_TIMEOUT_S = 30.0


def prove(folder: Path, name: str, servable: Servable, samples: Mapping[str, Array]) -> dict[str, Any]:
    """Prove what was written from a Keras model.

    Args:
        folder: the staged version, warm-up included.
        name: the model's.
        servable: what it was written from.
        samples: raw samples of `serving_default`'s inputs.

    Returns:
        The figures for the manifest: parity of each signature, latency, memory, seconds to start.

    Raises:
        FailedPrecondition: it does not load, its answers differ, or are not finite.
    """
    expected = servable.expected(samples)
    for signature, outputs in expected.items():
        parity.refuse_non_finite(signature, outputs, servable.holders[0])
    feeds = servable.feeds(samples)
    figures: dict[str, Any] = {}
    with serve(folder, name) as served:
        for signature, inputs in feeds.items():
            received = dict(served.client.predict(name, inputs, signature=signature, timeout=_CALL_TIMEOUT_S))
            parity.refuse_non_finite(signature, received, servable.holders[0])
            tolerance = parity.tolerance_of(servable.holders[0], expected[signature])
            errors = parity.compare(signature, expected[signature], received, tolerance)
            figures[signature] = {"max_abs_error": errors, "tolerance": tolerance}
        return {
            "parity": figures,
            "latency_ms": _latency(served.client, name, feeds[SERVING_DEFAULT]),
            "resident_mib": served.resident_mib(),
            "start_seconds": served.start_seconds,
        }


def prove_as_is(folder: Path, name: str, feeds: Mapping[str, Mapping[str, Array]]) -> dict[str, Any]:
    """Prove a SavedModel that came without its Keras model: it loads and, given samples, answers finite numbers.

    Args:
        folder: the staged version.
        name: the model's.
        feeds: signature name → input alias → array; may be empty.

    Raises:
        FailedPrecondition: it does not load, or answers NaN or infinity.
    """
    latency: dict[str, float] = {}
    with serve(folder, name) as served:
        for signature, inputs in feeds.items():
            received = served.client.predict(name, inputs, signature=signature, timeout=_CALL_TIMEOUT_S)
            parity.refuse_non_finite(signature, dict(received), None)
            latency = _latency(served.client, name, inputs, signature)
        return {
            "parity": {},
            "latency_ms": latency,
            "resident_mib": served.resident_mib(),
            "start_seconds": served.start_seconds,
        }


def _latency(
    client: Client, name: str, inputs: Mapping[str, Array], signature: str = SERVING_DEFAULT
) -> dict[str, float]:
    """Milliseconds of single-row requests, one after the other, as a client of the same machine sees them."""
    rows = len(next(iter(inputs.values())))
    seconds = []
    for call in range(CALLS):
        row = {alias: array[call % rows : call % rows + 1] for alias, array in inputs.items()}
        begin = time.perf_counter()
        client.predict(name, row, signature=signature, timeout=_CALL_TIMEOUT_S)
        seconds.append(time.perf_counter() - begin)
    p50, p99 = np.percentile(seconds, (50, 99)) * 1e3
    return {"p50": float(p50), "p99": float(p99), "calls": CALLS}
