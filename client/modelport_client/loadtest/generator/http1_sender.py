"""Sends REST requests, each over a connection of its own while it is under way."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import sys
import time
from collections.abc import Sequence
from typing import cast
from urllib.parse import urlsplit

import httptools

from modelport.errors import Code, Unavailable
from modelport_client.loadtest.generator.endings import Done, Ending
from modelport_client.transports import http_codes

_CONNECT_WITHIN_S = 5.0
_VERSION_HEADER = b"x-modelport-version"
_MOST_ERROR_BYTES = 65_536  # of an answer that is kept for its text


class Http1Sender:
    """See `Sender`.

    Args:
        url: `http://host:port` or `https://host:port`, and the path of the API.
        path: of the method, below the URL.
        bodies: the samples as JSON.
        connections: how many are opened before the load begins; more as they are needed.
        done: told of each call that ends.
        proxy: `http://…` of the proxy that plain requests go through.
    """

    name = "HTTP/1.1"

    def __init__(
        self, url: str, path: str, bodies: Sequence[bytes], connections: int, done: Done, proxy: str | None = None
    ) -> None:
        parts = urlsplit(url)
        reached = urlsplit(proxy) if proxy else parts
        default_port = 443 if reached.scheme == "https" else 80
        self._url = url
        self._address = reached.hostname or "", reached.port or default_port
        self._ssl = ssl.create_default_context() if parts.scheme == "https" else None
        asked = (url.rstrip("/") if proxy else parts.path.rstrip("/")) + path
        self._requests = [
            f"POST {asked} HTTP/1.1\r\nHost: {parts.netloc.rpartition('@')[2]}\r\nContent-Type: application/json\r\n"
            f"User-Agent: modelport-loadtest\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            + body
            for body in bodies
        ]
        self._wanted = connections
        self._done = done
        self._idle: list[_Connection] = []  # the last that was used is the next: it is the least likely to be closed
        self._busy: dict[int, _Connection] = {}
        self._opening: dict[int, asyncio.Task[None]] = {}

    @property
    def room(self) -> int:
        """As many as there may be connections; the driver's limit bounds them."""
        return sys.maxsize

    async def open(self) -> None:
        """Connect."""
        try:
            for _ in range(self._wanted):
                self._idle.append(await self._connect())
        except (OSError, TimeoutError) as error:
            raise Unavailable(self._nobody(error)) from error

    def send(self, call: int, sample: int) -> None:
        """Over a connection that is free, or a new one."""
        if self._idle:
            connection = self._busy[call] = self._idle.pop()
            connection.ask(call, self._requests[sample])
            return
        self._opening[call] = asyncio.get_running_loop().create_task(self._send_over_new(call, sample))

    def flush(self) -> None:
        """Nothing is held back here."""

    def forget(self, call: int) -> None:
        """Close its connection: HTTP/1.1 has no other way to give a call up."""
        if (task := self._opening.pop(call, None)) is not None:
            task.cancel()
        if (connection := self._busy.pop(call, None)) is not None:
            connection.call = None
            connection.close()

    def close(self) -> None:
        """Close all."""
        for task in self._opening.values():
            task.cancel()
        for connection in [*self._idle, *self._busy.values()]:
            connection.call = None
            connection.close()

    def ended(self, connection: _Connection, now: float, ending: Ending, is_kept: bool) -> None:
        """An answer is there, or will never be."""
        call = connection.call
        connection.call = None
        if call is None:
            if connection in self._idle:
                self._idle.remove(connection)
            return
        self._busy.pop(call, None)
        if is_kept:
            self._idle.append(connection)
        else:
            connection.close()
        self._done(call, now, ending)

    async def _connect(self) -> _Connection:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(_CONNECT_WITHIN_S):
            _, connection = await loop.create_connection(lambda: _Connection(self), *self._address, ssl=self._ssl)
        return connection

    async def _send_over_new(self, call: int, sample: int) -> None:
        try:
            connection = await self._connect()
        except (OSError, TimeoutError) as error:
            if self._opening.pop(call, None) is not None:
                self._done(call, time.monotonic(), Ending(Code.UNAVAILABLE, self._nobody(error)))
            return
        if self._opening.pop(call, None) is None:
            connection.close()
            return
        self._busy[call] = connection
        connection.ask(call, self._requests[sample])

    def _nobody(self, error: object) -> str:
        return f"No server answers at {self._url}: {error or 'no connection in time'}"

    def lost_reason(self, error: Exception | None) -> str:
        """The words for a connection that was closed under a call."""
        return self._nobody(error or "the server closed the connection")


class _Connection(asyncio.Protocol):
    def __init__(self, sender: Http1Sender) -> None:
        self._sender = sender
        self.call: int | None = None

    def ask(self, call: int, request: bytes) -> None:
        self.call = call
        self._begin()
        self._transport.write(request)

    def close(self) -> None:
        self._transport.abort()

    def _begin(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._version: int | None = None
        self._body: list[bytes] = []
        self._kept = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._now = time.monotonic()
        if self.call is None:
            self.close()
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            words = f"{self._sender.lost_reason(None)}: no HTTP/1.1 ({error}); is this the gRPC port?"
            self._sender.ended(self, self._now, Ending(Code.UNAVAILABLE, words), False)

    def connection_lost(self, error: Exception | None) -> None:
        ending = Ending(Code.UNAVAILABLE, self._sender.lost_reason(error))
        self._sender.ended(self, time.monotonic(), ending, False)

    # What the parser calls.

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == _VERSION_HEADER and value.isdigit():
            self._version = int(value)

    def on_body(self, piece: bytes) -> None:
        if self._kept < _MOST_ERROR_BYTES and self._parser.get_status_code() != 200:
            self._body.append(piece)
            self._kept += len(piece)

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        is_ok = status == 200
        ending = Ending(Code.OK, "", self._version) if is_ok else Ending(*_error(status, b"".join(self._body)))
        self._sender.ended(self, self._now, ending, self._parser.should_keep_alive())


def _error(status: int, body: bytes) -> tuple[Code, str]:
    """The server's own refusal, or what a proxy says in its place."""
    code = http_codes.of_status(status)
    with contextlib.suppress(ValueError, KeyError, TypeError):
        return code, str(json.loads(body)["error"])
    words = f"HTTP status {status}: {body[:200].decode(errors='replace')}"
    return Code.UNAVAILABLE if status == 504 else code, words  # a proxy's, not the server's
