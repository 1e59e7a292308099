"""A bound on a latency, whether a run held it, and what a search for the highest rate came to."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from modelport.errors import InvalidArgument
from modelport_client.loadtest.intervals import Interval
from modelport_client.loadtest.results.histogram import BEYOND, name_of
from modelport_client.loadtest.results.result import Result

_UNITS_S = {"us": 1e-6, "ms": 1e-3, "s": 1.0}


@dataclass(frozen=True)
class Bound:
    """`p99=20ms`: so many of a hundred requests take no longer than that."""

    percentile: float
    seconds: float

    def __str__(self) -> str:
        return f"{name_of(self.percentile).replace('_', '.')} ≤ {self.seconds * 1e3:g} ms"

    @classmethod
    def parse(cls, text: str) -> Bound:
        """Read `p99=20ms`.

        Raises:
            InvalidArgument: it is something else.
        """
        match = re.fullmatch(r"p(\d+(?:\.\d+)?)=(\d+(?:\.\d+)?)(us|ms|s)", text.strip())
        if match is None:
            raise InvalidArgument(f"Expected a bound such as p99=20ms, with the unit us, ms or s. Received: {text!r}")
        percentile, seconds = float(match[1]), float(match[2]) * _UNITS_S[match[3]]
        if not (0 < percentile < 100 and seconds > 0):
            raise InvalidArgument(f"Expected a percentile between 0 and 100, and more than 0 s. Received: {text!r}")
        return cls(percentile, seconds)


@dataclass(frozen=True)
class Try:
    """One run of the search.

    Args:
        rate: requests a second.
        seconds: how long.
        latency_s: at the bound's percentile; None when nothing was answered.
        failed: requests with an error.
        holds: whether it held the bound; None when it says nothing.
        words: why not.
    """

    rate: float
    seconds: float
    latency_s: float | None
    failed: int
    holds: bool | None
    words: str = ""


@dataclass(frozen=True)
class Found:
    """What the search came to.

    Args:
        bound: what was to be held.
        rate: the highest that held it; None when none did.
        held, repeated: of the runs at that rate how many held, of how many.
        latency: at that rate, in seconds, over its runs.
        fails_at: the lowest rate above it that did not hold; None when none was found.
        why_no_higher: what ended the search, when it was not the server.
        tries: all runs, in order.
    """

    bound: Bound
    rate: float | None
    held: int
    repeated: int
    latency: Interval | None
    fails_at: float | None
    why_no_higher: str
    tries: list[Try] = field(default_factory=list)

    @property
    def words(self) -> str:
        """The answer for a person, and how sure it is."""
        where = "higher rates" if self.fails_at is None else "the rates between"
        why = f" No more is known of {where}: {self.why_no_higher.rstrip('.')}." if self.why_no_higher else ""
        if self.rate is None or self.latency is None:
            tried = "" if self.fails_at is None else f" {self.fails_at:.4g} a second do not."
            return f"No rate was found that holds {self.bound}.{tried}{why}"
        lines = [f"{self.rate:.4g} requests a second hold {self.bound}: {self.held} of {self.repeated} runs did"]
        low, high = self.latency.low, self.latency.high
        if low is None or high is None:
            lines.append(f", with {self.latency.mean * 1e3:.3g} ms; one run has no interval.")
        else:
            lines.append(
                f", with {self.latency.mean * 1e3:.3g} ms ({low * 1e3:.3g} to {high * 1e3:.3g}: Student's 95 % "
                "interval of the logarithms of these runs)."
            )
        if self.fails_at is not None:
            lines.append(f" {self.fails_at:.4g} a second do not.")
        requests = self.rate * self.tries[-1].seconds
        if requests * (100 - self.bound.percentile) / 100 < BEYOND:
            lines.append(
                f" A run has {requests:.0f} requests, few for this percentile: a longer --budget makes it firmer."
            )
        return "".join(lines) + why

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        latency = self.latency
        return {
            "bound": str(self.bound),
            "rate_per_s": self.rate,
            "runs_at_rate": self.repeated,
            "runs_that_held": self.held,
            "latency_ms": latency
            and {
                "mean": latency.mean * 1e3,
                "low": latency.low and latency.low * 1e3,
                "high": latency.high and latency.high * 1e3,
            },
            "fails_at_per_s": self.fails_at,
            "why_no_higher": self.why_no_higher or None,
            "runs": [
                {
                    "rate_per_s": one.rate,
                    "seconds": one.seconds,
                    "latency_ms": None if one.latency_s is None else one.latency_s * 1e3,
                    "failed": one.failed,
                    "holds": one.holds,
                    "why": one.words or None,
                }
                for one in self.tries
            ],
        }


def judge(bound: Bound, rate: float, result: Result) -> Try:
    """Whether a run held a bound."""
    latency = result.latency.at(bound.percentile)
    words, holds = "", True
    if result.failed:
        first = result.errors[0]
        words, holds = f"{result.failed} failed: {first.code}: {first.message}", False
    elif latency is None or latency > bound.seconds:
        words, holds = "the bound was not held", False
    late = result.cost.too_late_for(bound.percentile, bound.seconds if holds else latency, holds)
    return Try(rate, result.seconds, latency, result.failed, None if late else holds, late or words)
