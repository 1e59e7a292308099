"""What the totals of servers say of the last minutes: requests a second, the share that failed, and percentiles.

Kept is what came in between two looks, for at most `KEPT_S`: a page left open for a day has no more of it.
"""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from modelport_console.watching.prometheus_page import Totals

KEPT_S = 600.0  # ten minutes: a promotion and what came of it
NOW_S = 60.0  # what the figures of the moment are taken over: a p99 of fewer requests says little
_MOST = 400  # intervals, whatever the pace of looking


Bucket = tuple[float, float]  # its ends, in microseconds


@dataclass(frozen=True)
class Interval:
    """What came in between two looks.

    Args:
        at: its end, in seconds of the clock on the wall.
        seconds: its length.
        answered: requests that were answered.
        failed: requests that were not.
        counts: the ends of a bucket in microseconds and how many took as long, only where there are some.
    """

    at: float
    seconds: float
    answered: float
    failed: float
    counts: tuple[tuple[Bucket, float], ...]


@dataclass(frozen=True)
class Figures:
    """Traffic over some time; what cannot be told is None."""

    per_second: float | None = None
    failed_share: float | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None
    requests: float = 0.0


class Traffic:
    """The intervals of one model, over all servers."""

    def __init__(self) -> None:
        self._intervals: deque[Interval] = deque(maxlen=_MOST)

    def add(self, interval: Interval) -> None:
        """Keep an interval, and forget what is too old."""
        self._intervals.append(interval)
        while self._intervals and self._intervals[0].at < interval.at - KEPT_S:
            self._intervals.popleft()

    def between(self, begin: float, end: float) -> Figures:
        """The figures of the intervals that end within a time."""
        return figures([one for one in list(self._intervals) if begin < one.at <= end])

    def points(self, end: float, length: float, count: int) -> list[Figures]:
        """The figures of so many stretches of a length, the last one up to now.

        An interval is of every stretch that it reaches into: looks may be farther from each other than stretches are
        long.
        """
        shelves: list[list[Interval]] = [[] for _ in range(count)]
        first = end - length * count
        for one in list(self._intervals):
            begin, last = (one.at - one.seconds - first) // length, -((first - one.at) // length) - 1
            for place in range(max(0, int(begin)), min(count, int(last) + 1)):
                shelves[place].append(one)
        return [figures(shelf) for shelf in shelves]


def figures(intervals: Sequence[Interval]) -> Figures:
    """What some intervals say together."""
    seconds = sum(one.seconds for one in intervals)
    if not seconds:
        return Figures()
    answered, failed = sum(one.answered for one in intervals), sum(one.failed for one in intervals)
    every = answered + failed
    counts: dict[Bucket, float] = defaultdict(float)
    for one in intervals:
        for bucket, count in one.counts:
            counts[bucket] += count
    shelf = sorted(counts.items())
    p50, p99 = (percentile(shelf, share) for share in (0.5, 0.99))
    return Figures(every / seconds, failed / every if every else None, p50, p99, every)


def percentile(counts: Sequence[tuple[Bucket, float]], share: float) -> float | None:
    """Milliseconds that this share of the requests took at most; None without requests.

    Within a bucket all times are taken for equally likely, as Prometheus' `histogram_quantile` does.
    """
    wanted = share * sum(count for _, count in counts)
    seen = 0.0
    for (low, high), count in counts:
        if seen + count >= wanted > 0:
            within = 0.0 if math.isinf(high) else (high - low) * (wanted - seen) / count
            return (low + within) / 1000
        seen += count
    return None


def difference(before: Totals | None, after: Totals) -> tuple[float, float, dict[Bucket, float]]:
    """Answered, failed, and answered by bucket between two looks at one server; all is new to one that began anew."""
    old = before or Totals()
    if after.answered < old.answered or after.failed < old.failed:
        old = Totals()
    counts: dict[Bucket, float] = {}
    below = low = 0.0
    for bound in sorted(after.below):
        up_to = after.below[bound] - old.below.get(bound, 0.0)
        if up_to > below:
            counts[low, bound] = up_to - below
        below, low = max(below, up_to), bound
    return below, after.failed - old.failed, counts


def together(at: float, seconds: float, parts: Iterable[tuple[float, float, Mapping[Bucket, float]]]) -> Interval:
    """What several servers say of the same time, as one."""
    answered = failed = 0.0
    counts: dict[Bucket, float] = defaultdict(float)
    for good, bad, shelf in parts:
        answered, failed = answered + good, failed + bad
        for bucket, count in shelf.items():
            counts[bucket] += count
    return Interval(at, seconds, answered, failed, tuple(sorted(counts.items())))
