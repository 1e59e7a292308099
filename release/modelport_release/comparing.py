"""Two versions beside each other, by what their manifests say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modelport import signature_changes
from modelport.manifest import Manifest

_Pairs = dict[str, tuple[Any, Any]]


@dataclass(frozen=True)
class Difference:
    """What differs; pairs are of the first version and the second one, None where one does not say.

    Args:
        breaking: what breaks clients of the first.
        additions: what is new in the second and breaks nobody.
        metrics: metric → values, of all metrics.
        intervals: metric → how much worse the second is, where it was held against the first on the same rows: mean
            and both ends of the 95 % interval.
        costs: figure → values.
        training: setting → values, of those that differ.
        data: alike.
        environment: alike.
    """

    breaking: list[str]
    additions: list[str]
    metrics: _Pairs
    intervals: dict[str, tuple[float, float, float]]
    costs: _Pairs
    training: _Pairs
    data: _Pairs
    environment: _Pairs


def compare(first: Manifest, second: Manifest) -> Difference:
    """Hold the second version against the first."""
    return Difference(
        breaking=signature_changes.breaking(first.signatures, second.signatures),
        additions=signature_changes.additions(first.signatures, second.signatures),
        metrics=_pairs(metrics_of(first), metrics_of(second)),
        intervals=_intervals(second) if second.proof.get("live") == first.version else {},
        costs=_pairs(costs_of(first), costs_of(second)),
        training=_other(first.training, second.training),
        data=_other(first.data, second.data),
        environment=_other(
            {**first.environment, "source_revision": first.source_revision},
            {**second.environment, "source_revision": second.source_revision},
        ),
    )


def metrics_of(manifest: Manifest) -> dict[str, float]:
    """The metrics as they were served on held-out rows, and, by other names, as the training measured them."""
    served: Mapping[str, float] = manifest.proof.get("quality", {}).get("metrics", {})
    return {**manifest.metrics, **served}


def costs_of(manifest: Manifest) -> dict[str, float]:
    """What the version costs a server, as it was measured when it was published."""
    return dict(manifest.proof.get("costs", {}).get("this", {}))


def _intervals(manifest: Manifest) -> dict[str, tuple[float, float, float]]:
    found = {}
    for check in manifest.proof.get("checks", ()):
        figures = check.get("figures", {})
        if "worse_by" in figures and "metric" in figures:
            found[figures["metric"]] = (figures["worse_by"], figures["low"], figures["high"])
    return found


def _pairs(first: Mapping[str, Any], second: Mapping[str, Any]) -> _Pairs:
    return {name: (first.get(name), second.get(name)) for name in sorted(first.keys() | second.keys())}


def _other(first: Mapping[str, Any], second: Mapping[str, Any]) -> _Pairs:
    return {name: pair for name, pair in _pairs(first, second).items() if pair[0] != pair[1]}
