"""An event loop whose timers are exact to some ten microseconds.

`epoll` waits for whole milliseconds, and asyncio rounds up to them: as long as a fast server takes to answer. `select`
waits for microseconds, and takes the descriptor of `epoll` for one that becomes readable.
"""

from __future__ import annotations

import asyncio
import select
import selectors
import sys


def new_loop() -> asyncio.AbstractEventLoop:
    """The loop; where there is no epoll the system's own."""
    if sys.platform != "linux":
        return asyncio.new_event_loop()
    return asyncio.SelectorEventLoop(_PreciseSelector())


if sys.platform == "linux":

    class _PreciseSelector(selectors.EpollSelector):
        def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
            if timeout is None or timeout > 0:
                select.select([self.fileno()], [], [], timeout)
            return super().select(0)
