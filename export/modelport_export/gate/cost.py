"""What a version costs a server, against bounds and against the live version; and whether its first request is slow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from modelport_export.gate.bounds import Gate
from modelport_export.gate.verdict import Check

MUCH = 2.0  # times the live version's figure, above which a cost is a warning
_FIRST = 2.0  # times the median, that the first request may take
_FIRST_NOISE_MS = 10.0  # that a connection and a process cost once, whatever the model is


@dataclass(frozen=True)
class Figure:
    """One cost: `bound` names its field of `Gate`, `least` is what differences below are noise of any machine."""

    name: str
    unit: str
    bound: str
    least: float


FIGURES = {
    "p50_ms": Figure("median latency of single calls (p50)", "ms", "max_p50_ms", 1.0),
    "p99_ms": Figure("latency of the slowest hundredth of single calls (p99)", "ms", "max_p99_ms", 5.0),
    "load_seconds": Figure("time to start and load", "s", "max_load_seconds", 2.0),
    "resident_mib": Figure("resident memory of a server with it", "MiB", "max_resident_mib", 100.0),
    "size_mib": Figure("size on disk", "MiB", "max_size_mib", 10.0),
}


def check(gate: Gate, mine: Mapping[str, float], live: Mapping[str, float], number: int | None) -> Iterator[Check]:
    """Hold each figure against its bound and the live version's.

    Args:
        gate: the bounds.
        mine: the version's, by the names of `FIGURES`; those that are not known are left out.
        live: the live version's, alike.
        number: of the live version; None where there is none.
    """
    for key, figure in FIGURES.items():
        if key not in mine:
            if getattr(gate, figure.bound) is not None:
                sentence = f"The {figure.name} is bounded, and could not be measured."
                yield Check("cost", "refused", sentence, f"{figure.bound} {getattr(gate, figure.bound):g}")
            continue
        value, bound, other = mine[key], getattr(gate, figure.bound), live.get(key)
        told = f"The {figure.name} is {value:.3g} {figure.unit}"
        if other is not None:
            told += f", of version {number} {other:.3g} {figure.unit}"
        figures = {"figure": key, "value": value, "live": other}
        if bound is not None and not value <= bound:
            sentence = f"{told}; at most {bound:g} {figure.unit} is asked for."
            yield Check("cost", "refused", sentence, f"{figure.bound} {bound:g}", figures)
        elif other is not None and value > MUCH * other and value - other > figure.least:
            yield Check("cost", "warning", f"{told}: more than {MUCH:g} times as much.", f"{MUCH:g} × live", figures)
        else:
            limit = f"{figure.bound} {bound:g}" if bound is not None else ""
            yield Check("cost", "passed" if limit else "reported", f"{told}.", limit, figures)


def check_warm(gate: Gate, first_ms: float, p50_ms: float) -> Check:
    """Hold the first request after the load against the steady ones."""
    told = f"The first request after the load takes {first_ms:.3g} ms, steady ones {p50_ms:.3g} ms"
    figures = {"first_ms": first_ms, "p50_ms": p50_ms}
    bound = gate.max_first_ms
    if bound is not None and first_ms > bound:
        return Check(
            "warm", "refused", f"{told}; at most {bound:g} ms is asked for.", f"max_first_ms {bound:g}", figures
        )
    if first_ms > _FIRST * p50_ms:
        if first_ms - p50_ms <= _FIRST_NOISE_MS:
            return Check("warm", "reported", f"{told}.", f"{_FIRST:g} × the median", figures)
        sentence = f"{told}: more than {_FIRST:g} times as long, so the warm-up does not warm all of it."
        return Check("warm", "warning", sentence, f"{_FIRST:g} × the median", figures)
    return Check("warm", "passed", f"{told}.", f"{_FIRST:g} × the median", figures)
