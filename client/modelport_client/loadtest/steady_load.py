"""A steady load: requests at a fixed rate, whatever the server does, and what became of each.

Open loop: a request's latency counts from the moment that it was due, so a server that stalls cannot hide the requests
that its stall held back.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import TracebackType

from modelport.errors import InvalidArgument, ModelportError
from modelport_client.results import Prediction


@dataclass(frozen=True)
class Outcome:
    """One request: when it was due (monotonic clock), how long its answer took from then, and who answered."""

    due: float
    latency_s: float
    version: int | None = None
    error: ModelportError | None = None


class SteadyLoad:
    """Sends requests until it is left; use as a context manager.

    Args:
        ask: sends one request; called from several threads.
        rate: requests per second.
        threads: how many requests may be under way at a time.
    """

    def __init__(self, ask: Callable[[], Prediction], rate: float, threads: int = 8) -> None:
        if rate <= 0 or threads < 1:
            raise InvalidArgument(f"Expected a rate above 0 and a thread at least. Received: {rate} and {threads}")
        self._ask = ask
        self._period = 1 / rate
        self._outcomes: list[Outcome] = []
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._work, args=(number, threads), name="loadtest", daemon=True)
            for number in range(threads)
        ]

    def __enter__(self) -> SteadyLoad:
        self._begin = time.monotonic()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    @property
    def outcomes(self) -> list[Outcome]:
        """All requests that have ended, in the order in which they were due."""
        return sorted(self._outcomes, key=lambda outcome: outcome.due)

    def _work(self, number: int, threads: int) -> None:
        turn = number
        while True:
            due = self._begin + turn * self._period
            turn += threads
            if self._stop.wait(max(0.0, due - time.monotonic())):
                return
            try:
                version, error = self._ask().version, None
            except ModelportError as caught:
                version, error = None, caught
            self._outcomes.append(Outcome(due, time.monotonic() - due, version, error))


def percentile(outcomes: Iterable[Outcome], share: float) -> float | None:
    """The latency in seconds that `share` (0 to 1) of the answered requests did not exceed; None without any."""
    latencies = sorted(outcome.latency_s for outcome in outcomes if outcome.error is None)
    return latencies[min(len(latencies) - 1, int(share * len(latencies)))] if latencies else None


def answered_by(outcomes: Iterable[Outcome]) -> dict[int | None, int]:
    """Version -> how many requests it answered."""
    return dict(sorted(Counter(o.version for o in outcomes if o.error is None).items(), key=lambda item: item[0] or 0))
