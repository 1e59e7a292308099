"""What a few repeated measurements say of the quantity behind them.

Rates and latencies vary by factors, so means and intervals are those of their logarithms: the geometric mean, and
Student's interval around it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# The 97.5 % quantiles of Student's distribution with 1, 2, … degrees of freedom; beyond them that of the normal one is
# used, which is 2 % smaller there. (Any table has them; scipy would be 40 MB for these numbers.)
_T = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131),
    *(2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042),
)
_NORMAL = 1.960


@dataclass(frozen=True)
class Interval:
    """A geometric mean, and between what it lies in 95 of 100 such series; None where one measurement says nothing."""

    mean: float
    low: float | None
    high: float | None
    count: int

    def __str__(self) -> str:
        if self.low is None or self.high is None:
            return f"{_figure(self.mean)} (one measurement)"
        return f"{_figure(self.mean)} (95 %: {_figure(self.low)} to {_figure(self.high)}, n = {self.count})"


def _figure(value: float) -> str:
    """Three digits, and no powers of ten."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def geometric(values: Sequence[float]) -> Interval:
    """Of positive measurements.

    Raises:
        ValueError: there are none, or one is not positive.
    """
    if not values or min(values) <= 0:
        raise ValueError(f"expected positive measurements: {values}")
    logs = np.log(values)
    mean, count = float(np.mean(logs)), len(values)
    if count == 1:
        return Interval(math.exp(mean), None, None, 1)
    quantile = _T[count - 2] if count - 1 <= len(_T) else _NORMAL
    half = quantile * float(np.std(logs, ddof=1)) / math.sqrt(count)
    return Interval(math.exp(mean), math.exp(mean - half), math.exp(mean + half), count)
