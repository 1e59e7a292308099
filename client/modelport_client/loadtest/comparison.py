"""Two servers, models or versions, asked in turns: A B B A A B B A …

What drifts on the machine meanwhile meets both. Each A is paired with the B beside it, and what is told are the ratios
of these pairs: their geometric mean and Student's interval around it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from modelport_client.loadtest.intervals import Interval, geometric
from modelport_client.loadtest.results.histogram import PERCENTILES, name_of
from modelport_client.loadtest.results.result import Result


@dataclass(frozen=True)
class Ratio:
    """B's figure over A's."""

    name: str
    a: float
    b: float
    ratio: Interval

    @property
    def verdict(self) -> str:
        """What the interval allows to say."""
        low, high = self.ratio.low, self.ratio.high
        if low is None or high is None:
            return "one pair says nothing"
        if low <= 1 <= high:
            return "no difference shown"
        return "B is higher" if low > 1 else "B is lower"


@dataclass(frozen=True)
class Comparison:
    """Of A and B.

    Args:
        names: of both.
        pairs: results of A and of B, in turns; those without a bottleneck.
        dropped: why other pairs do not count.
        ratios: B over A.
    """

    names: tuple[str, str]
    pairs: Sequence[tuple[Result, Result]]
    dropped: Sequence[str]
    ratios: Sequence[Ratio]

    @property
    def failed(self) -> tuple[int, int]:
        """Errors of both."""
        return sum(a.failed for a, _ in self.pairs), sum(b.failed for _, b in self.pairs)

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "a": self.names[0],
            "b": self.names[1],
            "is_result": bool(self.ratios),
            "pairs": len(self.pairs),
            "dropped": list(self.dropped),
            "failed": list(self.failed),
            "ratios": {
                one.name: {
                    "a": one.a,
                    "b": one.b,
                    "b_over_a": one.ratio.mean,
                    "low": one.ratio.low,
                    "high": one.ratio.high,
                    "verdict": one.verdict,
                }
                for one in self.ratios
            },
            "runs": [{"a": a.to_json(), "b": b.to_json()} for a, b in self.pairs],
        }


def in_turns(
    names: tuple[str, str],
    runs: tuple[Callable[[], Result], Callable[[], Result]],
    pairs: int,
    is_over: Callable[[], bool],
) -> Comparison:
    """Run both in turns; a pair that is not whole when somebody ends it does not count."""
    kept: list[tuple[Result, Result]] = []
    dropped = []
    for number in range(pairs):
        order = (0, 1) if number % 2 == 0 else (1, 0)
        results: dict[int, Result] = {}
        for which in order:
            if is_over():
                break
            results[which] = runs[which]()
        if is_over():
            break
        slow = [
            f"pair {number + 1}, {'AB'[which]}: {one.bottleneck}" for which, one in results.items() if one.bottleneck
        ]
        if slow:
            dropped += slow
        else:
            kept.append((results[0], results[1]))
    return Comparison(names, kept, dropped, _ratios(kept))


def _ratios(pairs: Sequence[tuple[Result, Result]]) -> list[Ratio]:
    figures: list[tuple[str, Callable[[Result], float | None]]] = [("answers a second", lambda one: one.answered)]
    figures += [(f"{name_of(p)} ms".replace("_", "."), partial(_ms, percentile=p)) for p in PERCENTILES]
    told = []
    for name, figure in figures:
        values = [(figure(a), figure(b)) for a, b in pairs]
        both = [(a, b) for a, b in values if a and b]
        if both and len(both) == len(values):
            ratio = geometric([b / a for a, b in both])
            told.append(Ratio(name, geometric([a for a, _ in both]).mean, geometric([b for _, b in both]).mean, ratio))
    return told


def _ms(result: Result, percentile: float) -> float | None:
    value = result.latency.at(percentile)
    return None if value is None else value * 1e3
