"""Latencies in an HDR histogram: any percentile to three digits, in a size that does not grow with the load."""

from __future__ import annotations

from typing import Any

import numpy as np

_MOST_US = 3_600_000_000  # an hour
_DIGITS = 3
# Beside the longest; as shares of a hundred.
PERCENTILES = (50.0, 90.0, 99.0, 99.9)
# A percentile is as good as what lies beyond it: with fewer requests than this it is the story of one or two of them.
BEYOND = 20


class Histogram:
    """Of durations.

    Args:
        seconds: all of them, in any order.
    """

    def __init__(self, seconds: Any) -> None:
        from hdrh.histogram import HdrHistogram  # of the extra `load`

        self._histogram = HdrHistogram(1, _MOST_US, _DIGITS)
        self.count = len(seconds)
        microseconds = np.clip(np.rint(np.asarray(seconds) * 1e6), 1, _MOST_US).astype(np.int64)
        for value, count in zip(*np.unique(microseconds, return_counts=True), strict=True):
            self._histogram.record_value(int(value), int(count))
        self._longest = float(np.max(seconds)) if self.count else None

    def at(self, percentile: float) -> float | None:
        """The seconds that so many of a hundred did not exceed; None without any."""
        if not self.count:
            return None
        if percentile >= 100 or self._longest is None:
            return self._longest
        # A value stands for all that share its three digits, and may be a little above the longest.
        return min(float(self._histogram.get_value_at_percentile(percentile)) * 1e-6, self._longest)

    def in_ms(self) -> dict[str, float | None]:
        """The percentiles that are told, by name, in milliseconds."""
        named = {name_of(percentile): self.at(percentile) for percentile in PERCENTILES}
        named["longest"] = self.at(100)
        return {name: None if value is None else round(value * 1e3, 3) for name, value in named.items()}

    def encoded(self) -> str:
        """The whole histogram, compressed, in the form that all HDR libraries read; its unit is the microsecond."""
        text: bytes = self._histogram.encode()
        return text.decode()

    @property
    def founded(self) -> float:
        """The highest percentile beyond which enough requests lie for it to say something."""
        return max([p for p in PERCENTILES if self.count * (100 - p) / 100 >= BEYOND], default=PERCENTILES[0])


def name_of(percentile: float) -> str:
    """`p99`, `p99_9`."""
    return f"p{percentile:g}".replace(".", "_")
