"""A port that speaks our HTTP, with a handler of the test behind it."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

import uvloop

from modelport_serving.config import ports
from modelport_serving.rest.acceptor import Acceptor
from modelport_serving.rest.connections import Connections, Timeouts
from modelport_serving.rest.http11 import HttpProtocol
from modelport_serving.rest.http_messages import Handler

T = TypeVar("T")

PATIENT = Timeouts(head=60.0, body=60.0, idle=60.0, read=60.0)


class HttpPort:
    """Serves on loopback until the `with` block ends.

    Args:
        handler: answers the requests; runs on the port's event loop.
        timeouts: how long connections may be silent.
        limit: the most connections.
        max_body_bytes: of one request.

    Attributes:
        acceptor: takes the connections.
        connections: the table of those that are open; belongs to the loop.
        lines: what a person was told.
    """

    def __init__(
        self, handler: Handler, timeouts: Timeouts = PATIENT, limit: int = 1000, max_body_bytes: int = 2**20
    ) -> None:
        self.lines: list[str] = []
        self.connections = Connections(timeouts, limit, self.lines.append)
        self._handler = handler
        self._max_body_bytes = max_body_bytes
        self.loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.address = ""

    def __enter__(self) -> HttpPort:
        self._thread.start()
        bound = ports.listening_socket("127.0.0.1", 0)
        self.address = f"http://127.0.0.1:{bound.getsockname()[1]}"
        self.acceptor = self.call(self._open(bound))
        return self

    def __exit__(self, *_: object) -> None:
        self.call(self._close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the loop and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    async def _open(self, bound: socket.socket) -> Acceptor:
        return Acceptor(
            bound,
            ports.BACKLOG,
            lambda: HttpProtocol(self._handler, self.connections, self._max_body_bytes),
            self.connections.make_room,
        )

    async def _close(self) -> None:
        self.acceptor.close()
        self.connections.abort()
        while self.connections:
            await asyncio.sleep(0)
