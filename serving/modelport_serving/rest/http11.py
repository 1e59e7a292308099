"""HTTP/1.1 on asyncio: one connection, from its first byte to its end.

Keep-alive (of HTTP/1.0 too), pipelining (answers in order, one a turn of the event loop), clients that close their side
after the request, and a drain that lets the request under way finish. `request_parser` reads what comes, `connections`
bounds how many there are and how long each may be silent; what a request means is the handler's business (`routes`).
"""

from __future__ import annotations

import asyncio
import fcntl
import sys
import termios
import time
from collections import deque
from typing import cast

from modelport_serving.rest.connections import Connections, Waiting
from modelport_serving.rest.http_messages import Handler, Request, Response, head_of
from modelport_serving.rest.request_parser import PIECE, RequestParser

_MAX_PIPELINED = 32  # requests that are parsed before the first of them is answered
_PROGRESS = 1024  # bytes of a body that count as progress
_JOINED = 64 * 1024  # bytes of a body up to which it is sent in one piece with its head


class HttpProtocol(asyncio.Protocol):
    """One connection.

    Args:
        handler: answers a request; must not raise.
        connections: the port's table; this one enters and leaves it.
        max_body_bytes: larger bodies are answered 413 before they are read.
    """

    def __init__(self, handler: Handler, connections: Connections, max_body_bytes: int) -> None:
        self._handler = handler
        self._connections = connections
        self._max_body_bytes = max_body_bytes
        self._transport: asyncio.Transport = None  # type: ignore[assignment]  # from connection_made on
        self._parser: RequestParser = None  # type: ignore[assignment]  # the same
        self._unparsed: deque[memoryview] = deque()
        self._waiting: deque[Request | Response] = deque()
        self._task: asyncio.Task[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._client_is_done = False  # it has closed its side
        self._draining = self._ended = False
        self._owes_leave = False  # to send a body
        self._counted = 0  # bytes of the body that were progress
        self._unsent_before = 0  # at the last look
        self.waits_for, self.since = Waiting.REQUEST, time.monotonic()

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client connected."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but its class
        name = transport.get_extra_info("peername")
        peer = f"{name[0]}:{name[1]}" if name else ""
        self._parser = RequestParser(self._line_up, self._go_on, peer, self._max_body_bytes)
        if not self._connections.enter(self):
            self._client_is_done = True  # the table does not look after it: it ends with the answer
            self._parser.refuse(_TOO_MANY)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone: whatever it waits for is cancelled."""
        self._connections.leave(self)
        self._ended = True
        self._unparsed.clear()
        self._writable.set()
        if self._task is not None:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        """Parse what came, unless enough waits already: then reading pauses."""
        if not self._ended and not self._parser.refused:
            self._unparsed.append(memoryview(data))
            self._parse()

    def eof_received(self) -> bool:
        """The client has closed its side; ours stays open for the answers that it waits for."""
        self._client_is_done = True
        if self._task is None:
            self._transport.close()
        return True

    def pause_writing(self) -> None:
        """The client reads too slowly."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """It caught up."""
        self._writable.set()

    # the table's side

    @property
    def unsent(self) -> int:
        """Bytes that were written and that the client's side has not taken yet."""
        return self._transport.get_write_buffer_size()

    def note_reading(self) -> None:
        """Begin the wait for the client anew if it has read something since the last look."""
        unsent = self.unsent
        if unsent > 0:
            unsent += _unsent_in_kernel(self._transport)
        if unsent != self._unsent_before and self.waits_for in (Waiting.REQUEST, Waiting.READER, Waiting.END):
            self.since = time.monotonic()
        self._unsent_before = unsent

    def time_out(self) -> None:
        """The client took too long: a half-sent request is answered 408, everything else just ends."""
        if self.waits_for in (Waiting.HEAD, Waiting.BODY):
            self._parser.refuse(_TOO_SLOW)
        else:
            self.abort()

    def drain(self) -> None:
        """Close behind the next answer; the client may be about to send a request, and is answered."""
        self._draining = True

    def end(self) -> None:
        """Close our side, and read on for a moment: a close with something unread would reset the connection, and the
        client might lose the answer."""
        self._ended = True
        self._waiting.clear()
        self._unparsed.clear()
        self._wait_for(Waiting.END)
        if self._client_is_done or not self._transport.can_write_eof():
            self._transport.close()
        else:
            self._transport.write_eof()
            if not self._transport.is_reading():
                self._transport.resume_reading()

    def abort(self) -> None:
        """Close at once, whatever is under way."""
        self._transport.abort()

    # ours

    def _parse(self) -> None:
        """Parse what came, a piece at a time, until enough requests wait."""
        parser, unparsed = self._parser, self._unparsed
        while unparsed and not parser.refused and not self._ended and len(self._waiting) < _MAX_PIPELINED:
            piece = unparsed.popleft()
            size = max(PIECE, parser.body_left)
            if len(piece) > size:
                unparsed.appendleft(piece[size:])
                piece = piece[:size]
            again = parser.feed(piece)
            if again is not None:
                unparsed.appendleft(again)
        if parser.refused:
            unparsed.clear()
        if unparsed:
            self._transport.pause_reading()
        elif not self._ended and not self._transport.is_reading():
            self._transport.resume_reading()
        if self._task is None:
            self._note_waiting()

    def _note_waiting(self) -> None:
        """Note what the connection waits for, while nothing is to be answered."""
        parser = self._parser
        waits_for = Waiting.REQUEST if not parser.begun else Waiting.HEAD if parser.in_head else Waiting.BODY
        progress = waits_for is Waiting.BODY and parser.body_bytes - self._counted >= _PROGRESS
        if waits_for is not self.waits_for or progress:
            self._counted = parser.body_bytes
            self._wait_for(waits_for)

    def _wait_for(self, what: Waiting) -> None:
        self.waits_for, self.since = what, time.monotonic()

    def _go_on(self) -> None:
        """Let the client send its body; behind the answers that it waits for."""
        if self._task is None:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._owes_leave = self._task is not None

    def _line_up(self, item: Request | Response) -> None:
        self._waiting.append(item)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._answer())

    async def _answer(self) -> None:
        """Answer what waits, in order. After each answer all others on the event loop have their turn."""
        try:
            while self._waiting and not self._ended:
                self._wait_for(Waiting.ANSWER)
                item = self._waiting.popleft()
                request = item if isinstance(item, Request) else None
                response = await self._response_to(item)
                self._wait_for(Waiting.READER)
                await self._writable.wait()
                await self._write(request, response)
                self._parse()
                if self._waiting:
                    time.sleep(0)  # gives gRPC's threads the interpreter; without it they wait for it again and again
                    await asyncio.sleep(0)
        finally:
            self._task = None
        if not self._ended:
            self._note_waiting()
            if self._owes_leave:
                self._go_on()
            if self._client_is_done:
                self.end()

    async def _response_to(self, item: Request | Response) -> Response:
        if isinstance(item, Response):
            return item
        try:
            return await self._handler(item)
        except Exception:  # handlers do not raise; a client is answered even if one does
            return Response(500, close=True)

    async def _write(self, request: Request | None, response: Response) -> None:
        """Write an answer, a long one as the client reads it, and end the connection if it was the last."""
        if self._ended:
            return
        keep_alive = request is not None and request.keep_alive and not response.close
        keep_alive &= not (self._draining and not self._waiting)
        head = head_of(response, request, keep_alive)
        body = b"" if request is not None and request.method == "HEAD" else response.body
        if isinstance(body, bytes) and len(body) <= _JOINED:
            self._transport.write(head + body)
        else:
            self._transport.write(head)
            for piece in [body] if isinstance(body, bytes) else body:
                await self._writable.wait()
                if self._ended:
                    return
                self._transport.write(piece)
        if not keep_alive:
            self.end()


def _unsent_in_kernel(transport: asyncio.Transport) -> int:
    """Bytes that the kernel keeps as the client has not read them: megabytes, which a slow one reads for minutes."""
    answer = bytearray(4)
    try:
        fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, answer)
    except OSError:  # not told on this platform
        return 0
    return int.from_bytes(answer, sys.byteorder)


def _error(status: int, text: str) -> Response:
    return Response(status, f'{{\n    "error": "{text}"\n}}'.encode(), headers={"Retry-After": "1"}, close=True)


_TOO_MANY = _error(503, "The server has as many open connections as it may (--rest_api_max_connections).")
_TOO_SLOW = _error(408, "The rest of the request did not come in time.")
