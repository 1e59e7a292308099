"""The gate: what a version must keep to be published, beyond answering correctly."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from modelport.errors import FailedPrecondition, InvalidArgument
from modelport_export import metric_directions


@dataclass(frozen=True)
class Gate:
    """Bounds; None is no bound.

    Args:
        max_regression: how much worse than the newest version any metric may be, in the metric's own unit.
        max_p99_ms: latency of a single request, 99th percentile in milliseconds.
        max_resident_mib: resident memory of a server with this version, in MiB.
        metric_directions: metric → "min" or "max", which is better; of Keras' own losses and metrics it is known.

    Raises:
        InvalidArgument: a bound that is negative or no number, or a direction that is neither.
    """

    max_regression: float | None = None
    max_p99_ms: float | None = None
    max_resident_mib: float | None = None
    metric_directions: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for metric, direction in self.metric_directions.items():
            if direction not in ("min", "max"):
                raise InvalidArgument(
                    f"Expected the direction of the metric {metric!r} as min or max. Received: {direction!r}"
                )
        for name in ("max_regression", "max_p99_ms", "max_resident_mib"):
            bound = getattr(self, name)
            if bound is not None and not (math.isfinite(bound) and bound >= 0):
                raise InvalidArgument(f"Expected {name} to be 0 or more. Received: {bound!r}")


def compare_metrics(
    metrics: Mapping[str, float],
    parent: Mapping[str, float],
    outputs: Sequence[str] = (),
    told: Mapping[str, str] | None = None,
) -> dict[str, dict[str, float | None]]:
    """Metric → value, value of the newest version, and regression, for the metrics of both.

    A regression is positive where the metric is worse, None where it is not known which way is better.

    Args:
        metrics: of the version.
        parent: of the newest one.
        outputs: names that Keras puts before a metric's.
        told: see `Gate.metric_directions`.
    """
    table: dict[str, dict[str, float | None]] = {}
    for name in sorted(set(metrics) & set(parent)):
        value, before = float(metrics[name]), float(parent[name])
        better = (told or {}).get(name) or metric_directions.of(name, outputs)
        worse = {"min": value - before, "max": before - value, None: None}[better]
        table[name] = {"value": value, "parent": before, "regression": worse}
    return table


def check(gate: Gate, proof: Mapping[str, Any]) -> None:
    """Hold a proof's figures against the gate.

    Raises:
        InvalidArgument: a regression is bounded, and of a metric it is not known which way is better.
        FailedPrecondition: a figure is out of bounds; the message has it and the bound.
    """
    if gate.max_regression is not None:
        for name, row in proof["metrics"].items():
            if row["regression"] is None:
                raise InvalidArgument(
                    f"Expected to know whether {name!r} is better when lower or when higher, because a regression is "
                    f"bounded. It is none of Keras' own metrics: say --metric-direction {name}=min or "
                    f"{name}=max (Gate(metric_directions=…))."
                )
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
