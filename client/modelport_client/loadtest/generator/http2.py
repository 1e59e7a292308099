"""Unary gRPC calls over one plain-text HTTP/2 connection, many at a time, at a tenth of what gRPC's own package costs.

Only what a load needs: requests that are bytes already, one message each way, statuses and their texts, deadlines by
the caller. Answers of any size are taken; compressed ones are not asked for. What the peer's windows do not let through
waits in order.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from modelport.errors import Code
from modelport_client.loadtest.generator import frames
from modelport_client.loadtest.generator.endings import Done, Ending
from modelport_client.loadtest.generator.frames import Broken, HeaderReader, Headers
from modelport_client.loadtest.generator.grpc_over_http2 import Request, of_reset, of_trailers

# A peer that has not acknowledged what was sent for so long is given up, as the client's own gRPC connections do.
_ACKNOWLEDGED_WITHIN_MS = 5_000


class _Stream:
    __slots__ = ("block", "body", "call", "ends", "headers")

    def __init__(self, call: int) -> None:
        self.call = call
        self.headers: Headers | None = None
        self.body: list[bytes] = []
        self.block = b""  # of headers that go on in the next frame
        self.ends = False  # whether that block is the last that comes


@dataclass
class _Backlog:
    """What the windows have not let through yet of one request."""

    body: memoryview
    window: int  # of its stream


class Connection(asyncio.Protocol):
    """One connection.

    Args:
        target: for the texts of errors.
        done: told of each call that ends.
        version_of: reads the version from an answer's bytes.
        lost: told once, when no further call may be sent.
    """

    def __init__(
        self, target: str, done: Done, version_of: Callable[[bytes], int | None], lost: Callable[[Connection], None]
    ) -> None:
        self._target = target
        self._done = done
        self._version_of = version_of
        self._lost = lost
        self._streams: dict[int, _Stream] = {}
        self._ids: dict[int, int] = {}
        self._next = 1
        self._rest = b""
        self._out: list[bytes] = []
        self._headers = HeaderReader()
        self._in_block: int | None = None
        self._window = self._initial = frames.DEFAULT_WINDOW
        self._largest_frame = frames.SMALLEST_FRAME_LIMIT
        self._most_streams = frames.LAST_STREAM
        self._backlog: dict[int, _Backlog] = {}
        self._consumed = 0
        self._is_first = True
        self._is_open = True
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._ready.add_done_callback(lambda ready: ready.cancelled() or ready.exception())  # whoever waits is told

    async def ready(self) -> None:
        """Until both sides know what the other takes; raises Broken when that is not to be."""
        await self._ready

    @property
    def room(self) -> int:
        """How many more calls may be sent now."""
        return self._most_streams - len(self._streams) if self._is_open else 0

    def send(self, call: int, request: Request) -> None:
        """Send a call with the next `flush`."""
        number = self._next
        self._next += 2
        self._streams[number] = _Stream(call)
        self._ids[call] = number
        name = number.to_bytes(4, "big")
        size = len(request.body)
        out = self._out
        out += (request.headers_head, name, request.rest)
        if request.data_head and not self._backlog and size <= self._window and size <= self._initial:
            self._window -= size
            out += (request.data_head, name, request.body)
        else:
            self._backlog[number] = _Backlog(memoryview(request.body), self._initial)
        if self._next >= frames.LAST_STREAM - 2:
            self._give_up()

    def flush(self) -> None:
        """Hand all that is to be sent to the socket."""
        if self._backlog:
            self._drain()
        if self._out:
            data = b"".join(self._out)
            self._out.clear()
            self._transport.write(data)

    def forget(self, call: int) -> None:
        """Give a call up; nothing more is told of it."""
        number = self._ids.pop(call, None)
        if number is not None:
            del self._streams[number]
            self._out.append(frames.reset(number, frames.CANCEL))
            self._backlog.pop(number, None)
            self._close_when_done()

    def close(self) -> None:
        """Close; what is under way is not told of."""
        self._is_open = False
        self._streams.clear()
        self._ids.clear()
        self._transport.close()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is there."""
        self._transport = cast(asyncio.Transport, transport)
        raw = transport.get_extra_info("socket")
        if raw is not None and hasattr(socket, "TCP_USER_TIMEOUT"):
            with contextlib.suppress(OSError):
                raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _ACKNOWLEDGED_WITHIN_MS)
        self._transport.write(frames.opening())

    def connection_lost(self, error: Exception | None) -> None:
        """The socket is gone."""
        self._end(f"the connection was lost ({error})" if error else "the server closed the connection")

    def data_received(self, data: bytes) -> None:
        """Read the frames that are complete."""
        now = time.monotonic()
        if self._rest:
            data = self._rest + data
        position, size = 0, len(data)
        unpack = frames.HEAD.unpack_from
        try:
            while size - position >= frames.HEAD_SIZE:
                high, low, kind, flags, number = unpack(data, position)
                length = high << 8 | low
                begin = position + frames.HEAD_SIZE
                if self._is_first:
                    self._check_first(kind, length, data)
                elif length > frames.SMALLEST_FRAME_LIMIT:
                    raise Broken(f"a frame of {length} bytes, which nobody allowed")
                position = begin + length
                if position > size:
                    position -= frames.HEAD_SIZE + length
                    break
                self._read(kind, flags, number & frames.LAST_STREAM, data[begin:position], now)
        except Broken as error:
            self._end(f"it does not speak HTTP/2 as it should: {error}")
            return
        self._rest = data[position:] if position < size else b""
        self.flush()

    # Frames.

    def _check_first(self, kind: int, length: int, data: bytes) -> None:
        if kind != frames.SETTINGS or length > frames.SMALLEST_FRAME_LIMIT:
            raise Broken(f"it begins with {data[:16]!r}; is this the REST port?")
        self._is_first = False

    def _read(self, kind: int, flags: int, number: int, payload: bytes, now: float) -> None:
        if self._in_block is not None and (kind, number) != (frames.CONTINUATION, self._in_block):
            raise Broken("headers that do not go on")
        if kind == frames.DATA:
            self._read_data(flags, number, payload, now)
        elif kind == frames.HEADERS:
            payload = frames.without_padding(payload, flags, True) if flags & ~0x5 else payload
            self._read_headers(flags, number, payload, bool(flags & frames.END_STREAM), now)
        elif kind == frames.CONTINUATION:
            self._read_headers(flags, number, payload, None, now)
        elif kind == frames.WINDOW_UPDATE:
            self._widen(number, int.from_bytes(payload, "big") & frames.LAST_STREAM)
        elif kind == frames.SETTINGS:
            self._read_settings(flags, payload)
        elif kind == frames.PING:
            if not flags & frames.ACK:
                self._out.append(frames.frame(frames.PING, frames.ACK, 0, payload))
        elif kind == frames.RST_STREAM:
            self._finish(number, now, of_reset(self._target, int.from_bytes(payload, "big")))
        elif kind == frames.GOAWAY:
            self._read_goaway(payload, now)
        elif kind == frames.PUSH_PROMISE:
            raise Broken("a push, which we refuse")

    def _read_data(self, flags: int, number: int, payload: bytes, now: float) -> None:
        self._consumed += len(payload)
        if self._consumed > frames.LARGEST_WINDOW // 2:
            self._out.append(frames.window_update(0, self._consumed))
            self._consumed = 0
        stream = self._streams.get(number)
        if stream is None:  # was given up
            return
        if flags & frames.PADDED:
            payload = frames.without_padding(payload, flags, False)
        stream.body.append(payload)
        if flags & frames.END_STREAM:
            self._finish(number, now, Ending(Code.INTERNAL, "The answer has no status: no trailers came."))

    def _read_headers(self, flags: int, number: int, payload: bytes, ends: bool | None, now: float) -> None:
        stream = self._streams.get(number)
        if stream is None:
            stream = _Stream(-1)  # given up; its headers are read all the same, for the tables of both sides to agree
        if ends is not None:
            stream.ends = ends
        block = stream.block + payload
        if not flags & frames.END_HEADERS:
            self._in_block = number
            stream.block = block
            return
        self._in_block = None
        stream.block = b""
        headers = self._headers.read(block)
        if number not in self._streams:
            return
        if stream.ends:
            first = stream.headers or headers
            self._finish(number, now, of_trailers(self._target, first, headers, stream.body, self._version_of))
        elif not headers.get(b":status", b"").startswith(b"1"):
            stream.headers = headers

    def _read_settings(self, flags: int, payload: bytes) -> None:
        if flags & frames.ACK:
            if not self._ready.done():
                self._ready.set_result(None)
            return
        said = frames.settings_of(payload)
        self._largest_frame = said.get(frames.MAX_FRAME_SIZE, self._largest_frame)
        self._most_streams = said.get(frames.MAX_CONCURRENT_STREAMS, self._most_streams)
        if (initial := said.get(frames.INITIAL_WINDOW_SIZE)) is not None:
            for one in self._backlog.values():
                one.window += initial - self._initial
            self._initial = initial
        self._out.append(frames.frame(frames.SETTINGS, frames.ACK, 0, b""))

    def _read_goaway(self, payload: bytes, now: float) -> None:
        last = int.from_bytes(payload[:4], "big") & frames.LAST_STREAM
        words = payload[8:].decode(errors="replace") or f"HTTP/2 error {int.from_bytes(payload[4:8], 'big')}"
        self._give_up()
        for number in [number for number in self._streams if number > last]:
            ending = Ending(Code.UNAVAILABLE, f"The server at {self._target} goes away: {words}")
            self._finish(number, now, ending)
        self._close_when_done()

    # Windows.

    def _widen(self, number: int, more: int) -> None:
        if number == 0:
            self._window += more
            return
        if number in self._backlog:
            self._backlog[number].window += more

    def _drain(self) -> None:
        for number, one in list(self._backlog.items()) if self._window > 0 else ():
            while (size := min(len(one.body), self._window, one.window, self._largest_frame)) > 0:
                flags = frames.END_STREAM if size == len(one.body) else 0
                self._out.append(frames.frame(frames.DATA, flags, number, bytes(one.body[:size])))
                self._window -= size
                one.window -= size
                one.body = one.body[size:]
            if not one.body:
                del self._backlog[number]
            if self._window <= 0:
                return

    # Ends.

    def _finish(self, number: int, now: float, ending: Ending) -> None:
        stream = self._streams.pop(number, None)
        if stream is None:
            return
        del self._ids[stream.call]
        self._backlog.pop(number, None)
        self._done(stream.call, now, ending)
        if not self._is_open:
            self._close_when_done()

    def _give_up(self) -> None:
        if self._is_open:
            self._is_open = False
            self._lost(self)

    def _close_when_done(self) -> None:
        if not self._is_open and not self._streams:
            self._transport.close()

    def _end(self, reason: str) -> None:
        now = time.monotonic()
        if not self._ready.done():
            self._ready.set_exception(Broken(reason))
        self._give_up()
        for number in list(self._streams):
            self._finish(number, now, Ending(Code.UNAVAILABLE, f"No server answers at {self._target}: {reason}"))
        self._transport.close()
