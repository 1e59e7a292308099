"""How sure a difference is: a paired bootstrap over rows that both versions answered.

Source: B. Efron and R. Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13 (percentile intervals).
"""

from __future__ import annotations

import numpy as np

from modelport_export.signatures import Array

RESAMPLES = 2000  # the ends of a 95 % interval are then means of 50 resamples beyond each
LEAST_ROWS = 20  # with fewer, the rows that happen to be there say more than the version does
_AT_A_TIME = 100  # resamples drawn together: 8 MB of indexes for 10,000 rows
_SEED = 20_211  # the same rows give the same verdict


def interval(differences: Array) -> tuple[float, float, float]:
    """Mean of differences, and the ends of its 95 % interval; shape (rows,)."""
    rng = np.random.default_rng(_SEED)
    count = len(differences)
    means: list[Array] = []
    for _ in range(RESAMPLES // _AT_A_TIME):
        chosen = rng.integers(0, count, (_AT_A_TIME, count), dtype=np.int32)
        means.append(differences[chosen].mean(axis=1))
    low, high = np.percentile(np.concatenate(means), (2.5, 97.5))
    return float(differences.mean()), float(low), float(high)
