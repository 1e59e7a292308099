"""Prove a staged version: load it in a fresh process, ask it, and hold the answers against the Keras model's."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from modelport_client import Client
from modelport_export import parity
from modelport_export.independence import proving
from modelport_export.servable import Servable
from modelport_export.signatures import SERVING_DEFAULT, Array, Signature
from modelport_export.validation_server import validation_server

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
        The figures for the manifest: parity of each signature, latency, memory, seconds to start, and whether rows are
        independent.

    Raises:
        FailedPrecondition: it does not load, its answers differ, or are not finite.
    """
    expected = servable.expected(samples)
    for signature, outputs in expected.items():
        parity.refuse_non_finite(signature, outputs, servable.holders[0])
    feeds = servable.feeds(samples)
    figures: dict[str, Any] = {}
    tolerances: dict[str, float] = {}
    with validation_server(folder, name) as server:
        for signature, inputs in feeds.items():
            received = dict(server.client.predict(name, inputs, signature=signature, timeout=_CALL_TIMEOUT_S))
            parity.refuse_non_finite(signature, received, servable.holders[0])
            dtypes = [str(output.dtype) for output in expected[signature].values()]
            tolerances[signature] = parity.tolerance_of(servable.holders[0], dtypes)
            errors = parity.compare(signature, expected[signature], received, tolerances[signature])
            figures[signature] = {"max_abs_error": errors, "tolerance": tolerances[signature]}
        return {
            "parity": figures,
            "latency_ms": _latency(server.client, name, feeds[SERVING_DEFAULT]),
            "resident_mib": server.resident_mib(),
            "start_seconds": server.start_seconds,
            **_row_independence(folder, name, server.client, servable.endpoints, feeds, tolerances),
        }


def prove_as_is(
    folder: Path, name: str, signatures: Mapping[str, Signature], feeds: Mapping[str, Mapping[str, Array]]
) -> dict[str, Any]:
    """Prove a SavedModel that came without its Keras model: it loads and, given samples, answers finite numbers.

    Args:
        folder: the staged version.
        name: the model's.
        signatures: the version's.
        feeds: signature name → input alias → array; may be empty.

    Raises:
        FailedPrecondition: it does not load, or answers NaN or infinity.
    """
    latency: dict[str, float] = {}
    with validation_server(folder, name) as server:
        for signature, inputs in feeds.items():
            received = server.client.predict(name, inputs, signature=signature, timeout=_CALL_TIMEOUT_S)
            parity.refuse_non_finite(signature, dict(received), None)
            latency = _latency(server.client, name, inputs, signature)
        tolerances = {
            signature: parity.tolerance_of(None, [spec.dtype for spec in signatures[signature].outputs.values()])
            for signature in feeds
        }
        return {
            "parity": {},
            "latency_ms": latency,
            "resident_mib": server.resident_mib(),
            "start_seconds": server.start_seconds,
            **_row_independence(folder, name, server.client, signatures, feeds, tolerances),
        }


def _row_independence(
    folder: Path,
    name: str,
    client: Client,
    signatures: Iterable[str],
    feeds: Mapping[str, Mapping[str, Array]],
    tolerances: Mapping[str, float],
) -> dict[str, Any]:
    """The last figures, because a server may end when it is asked for the rows that this takes."""
    begin = time.monotonic()
    verdicts = proving.prove(folder, name, client, signatures, feeds, tolerances)
    return {
        "row_independence": {signature: dataclasses.asdict(verdict) for signature, verdict in verdicts.items()},
        "row_independence_seconds": time.monotonic() - begin,
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
