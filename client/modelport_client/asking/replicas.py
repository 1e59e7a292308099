"""Which of several servers is asked next."""

from __future__ import annotations

import itertools
import time

from modelport.errors import DeadlineExceeded, ModelportError

# Seconds for which a replica is left out after it did not answer: a replica that is gone costs one try in a second,
# and one that is back is found within it.
_LEFT_OUT_S = 1.0
_LONGEST_S = 30.0  # for one that takes connections and does not answer: each try costs a call its time


class Replicas:
    """Goes round so many replicas, without those that did not answer just now. Thread-safe.

    When none is left all are tried again: the call's deadline ends that.
    """

    def __init__(self, count: int) -> None:
        self._turns = itertools.count()
        self._out_until = [float("-inf")] * count
        self._hung = [0] * count  # calls in a row that ran out of time

    def __len__(self) -> int:
        return len(self._out_until)

    def choose(self) -> int:
        """The number of the replica whose turn it is."""
        count = len(self._out_until)
        if count == 1:
            return 0
        turn, now = next(self._turns), time.monotonic()
        for place in range(turn, turn + count):
            if self._out_until[place % count] < now:
                return place % count
        return min(range(count), key=self._out_until.__getitem__)  # the one that is left out for the shortest time

    def failed(self, replica: int, error: ModelportError) -> None:
        """It did not answer; each time in a row that a call ran out of time it is left out twice as long."""
        if isinstance(error, DeadlineExceeded):
            self._hung[replica] += 1
        seconds = min(_LONGEST_S, _LEFT_OUT_S * 2 ** max(0, self._hung[replica] - 1))
        self._out_until[replica] = time.monotonic() + seconds

    def answered(self, replica: int) -> None:
        """It did."""
        self._out_until[replica] = float("-inf")
        self._hung[replica] = 0
