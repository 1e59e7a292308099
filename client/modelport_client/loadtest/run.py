"""One run from a plan to its result; what a signal ends early is told as far as it went."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from modelport_client.loadtest.plan import Plan
from modelport_client.loadtest.processes import Generators
from modelport_client.loadtest.results.result import Result, result_of


class Interruption:
    """Ctrl-C or SIGTERM: the first ends what runs now in good order, and all that would follow; the second at once."""

    def __init__(self) -> None:
        self.happened = False
        self._end: Callable[[], None] = lambda: None

    @contextmanager
    def ends(self, end: Callable[[], None]) -> Iterator[None]:
        """What an interruption calls while the block runs."""
        before, self._end = self._end, end
        try:
            if self.happened:
                end()
            yield
        finally:
            self._end = before

    @contextmanager
    def heeded(self) -> Iterator[None]:
        """Signals mean an interruption while the block runs; in other threads than the main one none are heard."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self._on_signal) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> Any:
        if self.happened:
            raise KeyboardInterrupt
        self.happened = True
        self._end()


def run(
    generators: Generators,
    plan: Plan,
    interruption: Interruption,
    progress: Callable[[float], None] = lambda _: None,
) -> Result:
    """Run a plan.

    Raises:
        Unavailable: nobody answers at the target.
        Internal: a generating process died.
    """
    with interruption.ends(generators.stop):
        return result_of(plan, generators.run(plan, progress))
