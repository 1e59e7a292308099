"""`AsyncClient` with the surface of `Client`: the same tests run over both."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable, Iterator
from typing import Any

from modelport_client import AsyncClient

_MOST_S = 120.0  # no call of a test takes longer


class Blocking:
    """An `AsyncClient` in an event loop of its own thread, whose calls are waited for."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        try:
            self._client: AsyncClient = self._wait(_made(*arguments, **keywords))
        except BaseException:
            self._stop()
            raise

    def __enter__(self) -> Blocking:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        self._stop()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        if inspect.isasyncgenfunction(found):
            return lambda *arguments, **keywords: self._each(found(*arguments, **keywords))
        if inspect.iscoroutinefunction(found):
            return lambda *arguments, **keywords: self._wait(found(*arguments, **keywords))
        return found

    def _wait(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(_MOST_S)

    def _each(self, items: Any) -> Iterator[Any]:
        try:
            while True:
                try:
                    yield self._wait(anext(items))
                except StopAsyncIteration:
                    return
        finally:
            self._wait(items.aclose())

    def _stop(self) -> None:
        if self._loop.is_running():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)
        if not self._loop.is_closed():
            self._loop.close()


async def _made(*arguments: Any, **keywords: Any) -> AsyncClient:
    return AsyncClient(*arguments, **keywords)


Surface = Callable[..., Any]
"""`Client`, or `Blocking`."""
