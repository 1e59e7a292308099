"""The stream of a page: each view is rendered and written once, for all who look at it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import anyio.to_thread

from modelport.errors import ModelportError
from modelport_console.live.view import View
from modelport_console.watching.snapshot import Snapshot
from modelport_console.watching.watcher import Watcher

_HEARTBEAT_S = 15.0  # a viewer that went away without a word is noticed by what cannot be sent
_RETRY_MS = 1000  # after which a browser asks again when the console went away
MOST_VIEWERS = 200

Draw = Callable[[Snapshot], View]


@dataclass
class _Drawn:
    number: int
    view: View
    before: View | None
    change: bytes  # from the view before to this one


class Feed:
    """Views by page, and who waits for the next look.

    Args:
        watcher: who looks.
    """

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self._drawn: dict[str, _Drawn] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._looked = asyncio.Event()
        self._viewers = 0
        self._closed = False

    @property
    def is_full(self) -> bool:
        """Whether there are as many viewers as there may be."""
        return self._viewers >= MOST_VIEWERS

    def next_look(self) -> None:
        """There is a new snapshot; on the event loop."""
        self._looked.set()
        self._looked = asyncio.Event()

    def close(self) -> None:
        """Let all streams end: the console is ended, and pages ask again when it is back."""
        self._closed = True
        self.next_look()

    async def view(self, page: str, draw: Draw) -> View:
        """The page as it is now."""
        return (await self._current(page, draw)).view

    async def stream(self, page: str, draw: Draw, shape: str) -> AsyncIterator[bytes]:
        """Server-sent events, until the viewer goes away.

        Args:
            page: what the view is kept under.
            draw: makes it; may block.
            shape: what the viewer has.
        """
        self._viewers += 1
        self._watcher.viewer(1)
        try:
            yield f"retry: {_RETRY_MS}\n\n".encode()
            number, sent = -1, time.monotonic()
            while not self._closed:
                looked = self._looked
                try:
                    drawn = await self._current(page, draw)
                except ModelportError as error:  # the model has gone: the page says so when it is loaded again
                    yield _event({"gone": error.message})
                    return
                if drawn.number != number:
                    if drawn.before is not None and drawn.number == number + 1 and shape == drawn.view.shape:
                        data = drawn.change
                    else:
                        data = _event(_whole(drawn.view, shape))
                    number, shape = drawn.number, drawn.view.shape
                    if data:
                        yield data
                        sent = time.monotonic()
                if time.monotonic() > sent + _HEARTBEAT_S:
                    yield b": still here\n\n"
                    sent = time.monotonic()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(looked.wait(), _HEARTBEAT_S)
        finally:
            self._viewers -= 1
            self._watcher.viewer(-1)

    async def _current(self, page: str, draw: Draw) -> _Drawn:
        async with self._locks.setdefault(page, asyncio.Lock()):
            snapshot, known = self._watcher.snapshot, self._drawn.get(page)
            if known is not None and known.number == snapshot.number:
                return known
            view = await anyio.to_thread.run_sync(draw, snapshot)
            before = known.view if known is not None and known.number == snapshot.number - 1 else None
            drawn = _Drawn(snapshot.number, view, before, b"" if before is None else _change(before, view))
            self._keep(snapshot.number)
            self._drawn[page] = drawn
            return drawn

    def _keep(self, number: int) -> None:
        """Forget the pages that nobody looked at lately."""
        for page in [page for page, drawn in self._drawn.items() if drawn.number < number - 1]:
            del self._drawn[page]
            self._locks.pop(page, None)


def _whole(view: View, shape: str) -> dict[str, object]:
    if view.shape == shape:
        return {"cells": view.cells}
    return {"shape": view.shape, "region": view.region}


def _change(before: View, view: View) -> bytes:
    if view.shape != before.shape:
        return _event({"shape": view.shape, "region": view.region})
    cells = {name: value for name, value in view.cells.items() if before.cells.get(name) != value}
    return _event({"cells": cells}) if cells else b""


def _event(found: dict[str, object]) -> bytes:
    return f"data: {json.dumps(found)}\n\n".encode()
