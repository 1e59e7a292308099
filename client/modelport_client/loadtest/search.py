"""The highest rate at which a server holds a bound on a percentile of its latencies: MLPerf's server scenario.

Open-loop runs with Poisson arrivals at one rate each. The rate doubles until the bound is not held, and the gap between
the highest that held it and the lowest that did not is halved, until they are 5 % apart or most of the time is used. A
run that does not hold is repeated while there is time, for a machine has its moments: two of three decide. At the end
the best rate is run again and again. It counts only if more than half of its runs held; if not, the next lower one is
tried. A run with an error does not hold. A run in which the generator was late says nothing, and where no run says more
the search goes no further up.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from modelport.errors import InvalidArgument
from modelport_client.loadtest.intervals import Interval, geometric
from modelport_client.loadtest.results.histogram import BEYOND, name_of
from modelport_client.loadtest.results.result import Result

_UNITS_S = {"us": 1e-6, "ms": 1e-3, "s": 1.0}
_CLOSE_ENOUGH = 1.05  # of the rates on both sides of the answer
_LOWER = 0.9  # of a rate that does not hold when it is repeated
_REPEATS = 5
_RUNS = 20  # of one search: about 6 to double, 8 to halve, 5 to repeat
_DECIDING = 3  # runs of a rate, at most, before the next one
_SHORTEST_RUN_S, _LONGEST_RUN_S = 0.5, 20.0
_BOUNDS_OF_A_RUN = 10  # the queue of a server that falls behind has to reach the bound within a run
_LOWEST_RATE = 0.5


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
        why = f" Nothing is known of higher rates: {self.why_no_higher.rstrip('.')}." if self.why_no_higher else ""
        if self.rate is None or self.latency is None:
            return f"No rate was found that holds {self.bound}.{why}"
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


class Search:
    """One search.

    Args:
        bound: to be held.
        measure: runs a rate for some seconds.
        budget_s: for all runs.
        first: the rate to begin with.
        is_over: whether somebody ended it early.
        say: told of each run.
    """

    def __init__(
        self,
        bound: Bound,
        measure: Callable[[float, float], Result],
        budget_s: float,
        first: float,
        is_over: Callable[[], bool] = lambda: False,
        say: Callable[[Try], None] = lambda _: None,
    ) -> None:
        self._bound = bound
        self._measure = measure
        self._first = first
        self._is_over = is_over
        self._say = say
        shortest = max(_SHORTEST_RUN_S, _BOUNDS_OF_A_RUN * bound.seconds)
        self._run_s = max(min(budget_s / _RUNS, _LONGEST_RUN_S), shortest)
        self._begin = time.monotonic()
        self._end = self._begin + budget_s
        self._longest_try = self._run_s
        self._why = ""
        self.tries: list[Try] = []

    def find(self) -> Found:
        """Search; see the module."""
        self._double()
        self._halve()
        rate = self._best()
        while rate is not None and not self._confirm(rate):
            rate = self._next_below(rate)
        return self._found(rate)

    def _double(self) -> None:
        rate = self._first
        up: bool | None = None  # the direction, once the first run has told it
        while self._has_time(1 + _REPEATS // 2):
            holds = self._decide(rate)
            if holds is None:
                if up or rate / 2 < _LOWEST_RATE:
                    return
                holds = False
            if up is not None and holds != up:
                return
            up = holds
            rate = rate * 2 if up else rate / 2
            if rate < _LOWEST_RATE:
                return

    def _halve(self) -> None:
        while self._has_time(1 + _REPEATS):
            low, high = self._best(), self._fails_above(self._best() or 0.0)
            if low is None or high is None or high / low <= _CLOSE_ENOUGH:
                return
            self._decide((low * high) ** 0.5)

    def _decide(self, rate: float) -> bool | None:
        """The first run, if it holds; of three the majority else. None when none of them says anything."""
        if self._try(rate):
            return True
        for _ in range(1, _DECIDING):
            held, count = self._held(rate)
            if count - held == _DECIDING // 2 + 1 or not self._has_time(_DECIDING + _REPEATS):
                break
            self._try(rate)
        held, count = self._held(rate)
        return 2 * held > count if count else None

    def _confirm(self, rate: float) -> bool:
        """Repeat a rate; whether more than half of its runs hold."""
        while self._runs_at(rate) < _REPEATS and self._has_time(1):
            self._try(rate)
        held, count = self._held(rate)
        return 2 * held > count

    def _next_below(self, rate: float) -> float | None:
        """Another rate that held, or one that is tried now."""
        known = [one.rate for one in self.tries if one.holds and one.rate < rate]
        lower = max([*known, rate * _LOWER])
        if lower in known or (lower >= _LOWEST_RATE and self._has_time(1) and self._try(lower) is not None):
            return lower
        return max(known, default=None)

    def _try(self, rate: float) -> bool | None:
        begin = time.monotonic()
        result = self._measure(rate, self._run_s)
        self._longest_try = max(self._longest_try, time.monotonic() - begin)
        told = judge(self._bound, rate, result)
        if self._is_over():
            told = Try(rate, result.seconds, told.latency_s, told.failed, None, "it was ended early")
        self.tries.append(told)
        self._say(told)
        return told.holds

    def _has_time(self, runs: int) -> bool:
        if self._is_over():
            self._why = "the search was ended early"
            return False
        if time.monotonic() + runs * self._longest_try <= self._end or not self.tries:
            return True
        self._why = "the time was over"
        return False

    def _held(self, rate: float) -> tuple[int, int]:
        told = [one.holds for one in self.tries if one.rate == rate and one.holds is not None]
        return sum(told), len(told)

    def _runs_at(self, rate: float) -> int:
        return sum(one.rate == rate for one in self.tries)

    def _best(self) -> float | None:
        """The highest rate that held more often than not, below all that did not."""
        rates = sorted({one.rate for one in self.tries if one.holds is not None})
        best = None
        for rate in rates:
            held, count = self._held(rate)
            if 2 * held <= count:
                break
            best = rate
        return best

    def _fails_above(self, rate: float) -> float | None:
        """The lowest rate above that did not hold, or of which nothing is known."""
        above = sorted({one.rate for one in self.tries if one.rate > rate})
        for other in above:
            held, count = self._held(other)
            if 2 * held <= count:
                return other
        return None

    def _found(self, rate: float | None) -> Found:
        mute = [one for one in self.tries if one.holds is None and one.rate > (rate or 0.0)]
        why = mute[-1].words if mute else self._why
        if rate is None:
            return Found(self._bound, None, 0, 0, None, None, why, self.tries)
        held, count = self._held(rate)
        latencies = [
            one.latency_s for one in self.tries if one.rate == rate and one.holds is not None and one.latency_s
        ]
        fails_at = self._fails_above(rate)
        if fails_at is not None and not self._held(fails_at)[1]:
            fails_at = None  # nobody knows
        elif fails_at is not None and fails_at / rate <= _CLOSE_ENOUGH:
            why = ""
        return Found(self._bound, rate, held, count, geometric(latencies), fails_at, why, self.tries)


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
