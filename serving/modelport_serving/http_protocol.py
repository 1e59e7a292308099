"""HTTP/1.1 on asyncio: httptools parses, this file frames.

Keep-alive, pipelining (answers in order), chunked requests, `Expect: 100-continue`, a bound on headers and body, and a
drain that lets the request under way finish. What a request means is the handler's business (`rest_api`).
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import cast

import httptools

MAX_HEADER_BYTES = 64 * 1024
_REASONS = {status.value: status.phrase for status in HTTPStatus} | {499: "Client Closed Request"}


@dataclass
class Request:
    """One request; header names are lower case."""

    method: str
    target: str  # as it was sent, query and all
    headers: dict[str, str]
    body: bytes
    peer: str = ""


@dataclass
class Response:
    """One answer; length, date and connection headers are added when it is written."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    close: bool = False


_NO_REQUEST = Request("GET", "", {}, b"")
_PIECE = 4096  # bytes of a body from which on a piece of it is kept as it came
_MAX_PIPELINED = 32  # requests that a client may send before the first is answered; then it has to wait

Handler = Callable[[Request], Awaitable[Response]]


def html_page(status: int) -> Response:
    """The error page that the real server's HTTP library gives for what its API does not know."""
    phrase = _REASONS[status]
    text = f"<HTML><HEAD>\n<TITLE>{status} {phrase}</TITLE>\n</HEAD><BODY>\n<H1>{phrase}</H1>\n</BODY></HTML>\n"
    return Response(status, text.encode(), "text/html", close=True)


@lru_cache(maxsize=1)
def _date(second: int) -> str:
    return formatdate(second, usegmt=True)


class HttpProtocol(asyncio.Protocol):
    """One connection.

    Args:
        handler: answers a request; must not raise.
        connections: the server's set of open connections; this one enters and leaves it.
        max_body_bytes: larger bodies are answered 413 before they are read.
    """

    def __init__(self, handler: Handler, connections: set[HttpProtocol], max_body_bytes: int) -> None:
        self._handler = handler
        self._connections = connections
        self._max_body_bytes = max_body_bytes
        self._transport: asyncio.Transport | None = None
        self._peer = ""
        self._parser = httptools.HttpRequestParser(self)
        self._closed_to_more = False  # what follows a refusal is not read
        self._head_bytes = 0  # that came while a head was being read
        self._waiting: deque[tuple[Request | Response, bool]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._draining = False
        self._writable = asyncio.Event()
        self._writable.set()
        self._reset()

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client connected."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but its class
        name = transport.get_extra_info("peername")
        self._peer = f"{name[0]}:{name[1]}" if name else ""
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone: whatever it waits for is cancelled."""
        self._connections.discard(self)
        self._writable.set()
        if self._task is not None:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        """Feed the parser; what it cannot read is answered once, and the connection closed."""
        rest: bytes | None = data
        while rest is not None:
            rest = self._feed(rest)

    def _feed(self, data: bytes) -> bytes | None:
        """Feed the parser; returns what is to be fed next, None for nothing."""
        if self._closed_to_more:
            return None
        if self._in_head:  # the parser tells of a header when it has all of it, which may be never
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEADER_BYTES + len(data):
                self._refuse(html_page(431))
                return None
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserInvalidMethodError:
            self._refuse(html_page(501))
        except (httptools.HttpParserError, UnicodeDecodeError):
            if not self._refused:
                self._refuse(html_page(400))
        except httptools.HttpParserUpgrade as upgrade:
            return self._ignore_upgrade(data[upgrade.args[0] :])
        return None

    def pause_writing(self) -> None:
        """The client reads too slowly."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """It caught up."""
        self._writable.set()

    def drain(self) -> None:
        """Close when the request under way has been answered; at once when there is none."""
        self._draining = True
        if self._task is None and self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close at once, whatever is under way."""
        if self._transport is not None:
            self._transport.abort()

    # httptools' side

    def on_message_begin(self) -> None:
        """A request begins."""
        self._reset()

    def on_url(self, url: bytes) -> None:
        """A piece of the target."""
        self._target += url
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        self._count(len(name) + len(value))
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """All headers are here; the body follows."""
        self._in_head = False
        self._head_bytes = 0
        length = self._headers.get("content-length", "0")
        if length.isdecimal() and int(length) > self._max_body_bytes:
            self._refuse_body()
        elif self._headers.get("expect", "").lower() == "100-continue" and self._transport is not None:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        if self._refused:
            return
        self._body_bytes += len(body)
        if self._body_bytes > self._max_body_bytes:
            self._refuse_body()
        else:
            self._add(body)

    def on_message_complete(self) -> None:
        """The request is whole."""
        if self._refused:
            return
        request = Request(
            self._parser.get_method().decode("ascii"),
            self._target.decode("latin-1"),
            self._headers,
            self._body[0] if len(self._body) == 1 and isinstance(self._body[0], bytes) else b"".join(self._body),
            self._peer,
        )
        self._line_up(request, self._parser.should_keep_alive())

    # ours

    def _reset(self) -> None:
        self._target = b""
        self._headers: dict[str, str] = {}
        self._body: list[bytes | bytearray] = []
        self._in_head = True
        self._body_bytes = 0
        self._header_bytes = 0
        self._refused = False

    def _count(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > MAX_HEADER_BYTES and not self._refused:
            self._refuse(html_page(431))

    def _add(self, piece: bytes) -> None:
        """Keep a piece of the body, to be joined at the end; small ones at once, because each has its own overhead."""
        if len(piece) >= _PIECE:
            self._body.append(piece)
        elif self._body and isinstance(self._body[-1], bytearray):
            self._body[-1] += piece
        else:
            self._body.append(bytearray(piece))

    def _refuse_body(self) -> None:
        limit = f"Expected a request body of at most {self._max_body_bytes} bytes (--rest_api_max_body_bytes)."
        self._refuse(Response(413, f'{{\n    "error": "{limit}"\n}}'.encode(), close=True))

    def _refuse(self, response: Response) -> None:
        """Answer what cannot be a request, in its turn, and close."""
        self._refused = self._closed_to_more = True
        self._line_up(response, keep_alive=False)

    def _ignore_upgrade(self, rest: bytes) -> bytes | None:
        """What to feed next, to go on as if the client had not offered another protocol (RFC 9110, 7.8, allows it).

        The parser ends at such an offer, before the body; so the request is read once more without it.
        """
        if self._refused:
            return None
        if self._parser.get_method() == b"CONNECT":
            self._refuse(html_page(501))
            return None
        offered, _ = self._waiting.pop()
        assert isinstance(offered, Request)  # noqa: S101  # refusals ended this function above
        headers = {name: value for name, value in offered.headers.items() if name not in ("upgrade", "connection")}
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self._parser = httptools.HttpRequestParser(self)
        return f"{offered.method} {offered.target} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + rest

    def _line_up(self, item: Request | Response, keep_alive: bool) -> None:
        self._waiting.append((item, keep_alive))
        if len(self._waiting) >= _MAX_PIPELINED and self._transport is not None:
            self._transport.pause_reading()
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._answer())

    async def _answer(self) -> None:
        try:
            while self._waiting:
                item, keep_alive = self._waiting.popleft()
                if len(self._waiting) == _MAX_PIPELINED - 1 and self._transport is not None:
                    self._transport.resume_reading()
                if isinstance(item, Response):
                    self._write(_NO_REQUEST, item, keep_alive)
                    return
                request = item
                try:
                    response = await self._handler(item)
                except Exception:  # handlers do not raise; a client is answered even if one does
                    response = Response(500, close=True)
                await self._writable.wait()
                last = self._draining and not self._waiting
                self._write(request, response, keep_alive and not last)
        finally:
            self._task = None

    def _write(self, request: Request, response: Response, keep_alive: bool) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        keep_alive = keep_alive and not response.close
        head = [
            f"HTTP/1.1 {response.status} {_REASONS.get(response.status, 'Unknown')}",
            f"Content-Type: {response.content_type}",
            f"Date: {_date(int(time.time()))}",
            f"Content-Length: {len(response.body)}",
            *(f"{name}: {value}" for name, value in response.headers.items()),
        ]
        if not keep_alive:
            head.append("Connection: close")
        body = b"" if request.method == "HEAD" else response.body
        transport.write("\r\n".join([*head, "\r\n"]).encode("latin-1") + body)
        if not keep_alive:
            transport.close()
