"""The steps of a publication: told as they begin, timed as they end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Steps:
    """Tells the progress and keeps the seconds of each step.

    Args:
        progress: called with a few words at the beginning of each step.
    """

    def __init__(self, progress: Callable[[str], None] | None) -> None:
        self._progress = progress
        self.seconds: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """The step of that name."""
        if self._progress is not None:
            self._progress(name)
        begin = time.monotonic()
        yield
        self.seconds[name] = time.monotonic() - begin
