"""The moment by which a call ends, whatever it is at: looking up, encoding, sending, waiting, reading, decoding."""

from __future__ import annotations

import time

from modelport.errors import DeadlineExceeded


class Deadline:
    """Counts from its making. One stands for one call of the user, with all requests that it takes.

    Args:
        timeout: seconds.
        target: who is asked, for the error.
    """

    def __init__(self, timeout: float, target: str) -> None:
        self._timeout = timeout
        self._target = target
        self._end = time.monotonic() + timeout

    @property
    def left(self) -> float:
        """Seconds; 0 or less when it has passed."""
        return self._end - time.monotonic()

    def check(self) -> float:
        """The seconds that are left.

        Raises:
            DeadlineExceeded: there are none.
        """
        left = self.left
        if left <= 0:
            raise self.exceeded()
        return left

    def exceeded(self, details: str = "") -> DeadlineExceeded:
        """The error of a call that ran out of time."""
        text = f"No answer from {self._target} within {self._timeout:g} s"
        return DeadlineExceeded(f"{text}: {details}" if details else f"{text}.")
