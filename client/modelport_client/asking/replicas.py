"""Which of several servers is asked next."""

from __future__ import annotations

import itertools
import time

# Seconds for which a replica is left out after it did not answer: a replica that is gone costs one try in a second,
# and one that is back is found within it.
_LEFT_OUT_S = 1.0


class Replicas:
    """Goes round so many replicas, without those that did not answer just now. Thread-safe.

    When none is left all are tried again: the call's deadline ends that.
    """

    def __init__(self, count: int) -> None:
        self._turns = itertools.count()
        self._failed_at = [float("-inf")] * count

    def __len__(self) -> int:
        return len(self._failed_at)

    def choose(self) -> int:
        """The number of the replica whose turn it is."""
        count = len(self._failed_at)
        if count == 1:
            return 0
        turn = next(self._turns)
        since = time.monotonic() - _LEFT_OUT_S
        for place in range(turn, turn + count):
            if self._failed_at[place % count] < since:
                return place % count
        return min(range(count), key=self._failed_at.__getitem__)  # the one that failed longest ago

    def failed(self, replica: int) -> None:
        """It did not answer."""
        self._failed_at[replica] = time.monotonic()

    def answered(self, replica: int) -> None:
        """It did."""
        self._failed_at[replica] = float("-inf")
