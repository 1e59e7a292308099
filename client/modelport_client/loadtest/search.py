"""The highest rate at which a server holds a bound on a percentile of its latencies: MLPerf's server scenario.

Open-loop runs with Poisson arrivals at one rate each. The rate doubles until the bound is not held, and the gap between
the highest that held it and the lowest that did not is halved, until they are 5 % apart or most of the time is used. A
run that does not hold is repeated while there is time, for a machine has its moments: two of three decide. At the end
the best rate is run again and again. It counts only if more than half of its runs held; if not, the next lower one is
tried. A run with an error does not hold. A run in which the generator was late says nothing, and where no run says more
the search goes no further up.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from modelport_client.loadtest.found import Bound, Found, Try, judge
from modelport_client.loadtest.intervals import geometric
from modelport_client.loadtest.results.result import Result

_CLOSE_ENOUGH = 1.05  # of the rates on both sides of the answer
_LOWER = 0.9  # of a rate that does not hold when it is repeated
_REPEATS = 5
_RUNS = 20  # of one search: about 6 to double, 8 to halve, 5 to repeat
_DECIDING = 3  # runs of a rate, at most, before the next one
_SHORTEST_RUN_S, _LONGEST_RUN_S = 0.5, 20.0
_BOUNDS_OF_A_RUN = 10  # the queue of a server that falls behind has to reach the bound within a run
_LOWEST_RATE = 0.5


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
        fails_at = self._fails_above(rate or 0.0)
        if fails_at is not None and not self._held(fails_at)[1]:
            fails_at = None  # nothing is known of it
        above = [one for one in self.tries if one.rate > (rate or 0.0) and (fails_at is None or one.rate < fails_at)]
        mute = [one.words for one in above if not self._held(one.rate)[1]]
        why = mute[-1] if mute else self._why
        if rate is None:
            return Found(self._bound, None, 0, 0, None, fails_at, why, self.tries)
        if fails_at is not None and fails_at / rate <= _CLOSE_ENOUGH:
            why = ""
        held, count = self._held(rate)
        evidence = [one for one in self.tries if one.rate == rate and one.holds is not None]
        latency = geometric([one.latency_s for one in evidence if one.latency_s])
        return Found(self._bound, rate, held, count, latency, fails_at, why, self.tries)
