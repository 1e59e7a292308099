"""The gate: what a version must keep to be published, beyond answering correctly."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modelport.errors import FailedPrecondition, InvalidArgument

_LOWER_IS_BETTER = ("loss", "error", "mae", "mse", "rmse", "mape", "perplexity", "latency", "entropy", "divergence")


@dataclass(frozen=True)
class Gate:
    """Bounds; None is no bound.

    Args:
        max_regression: how much worse than the newest version any metric may be, in the metric's own unit. Metrics with
            loss, error, mae, … in their name are better when lower, all others when higher.
        max_p99_ms: latency of a single request, 99th percentile in milliseconds.
        max_resident_mib: resident memory of a server with this version, in MiB.

    Raises:
        InvalidArgument: a bound that is negative or no number.
    """

    max_regression: float | None = None
    max_p99_ms: float | None = None
    max_resident_mib: float | None = None

    def __post_init__(self) -> None:
        for name, bound in vars(self).items():
            if bound is not None and not (math.isfinite(bound) and bound >= 0):
                raise InvalidArgument(f"Expected {name} to be 0 or more. Received: {bound!r}")


def compare_metrics(metrics: Mapping[str, float], parent: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """Metric → value, value of the newest version, and regression (positive is worse), for the metrics of both."""
    table = {}
    for name in sorted(set(metrics) & set(parent)):
        value, before = float(metrics[name]), float(parent[name])
        worse = value - before if any(word in name.lower() for word in _LOWER_IS_BETTER) else before - value
        table[name] = {"value": value, "parent": before, "regression": worse}
    return table


def check(gate: Gate, proof: Mapping[str, Any]) -> None:
    """Hold a proof's figures against the gate.

    Raises:
        FailedPrecondition: a figure is out of bounds; the message has it and the bound.
    """
    if gate.max_regression is not None:
        for name, row in proof["metrics"].items():
            if not row["regression"] <= gate.max_regression:
                raise FailedPrecondition(
                    f"Expected {name!r} to be at most {gate.max_regression:g} worse than that of the newest version "
                    f"({row['parent']:.6g}). Received: {row['value']:.6g}. Train on, or publish with a wider gate."
                )
    p99, resident = proof["latency_ms"].get("p99"), proof["resident_mib"]
    if gate.max_p99_ms is not None and p99 is not None and p99 > gate.max_p99_ms:
        raise FailedPrecondition(f"Expected a p99 latency of {gate.max_p99_ms:g} ms at most. Measured: {p99:.3g} ms.")
    if gate.max_resident_mib is not None and resident is not None and resident > gate.max_resident_mib:
        raise FailedPrecondition(
            f"Expected a server of {gate.max_resident_mib:g} MiB resident at most. Measured: {resident:.0f} MiB."
        )
