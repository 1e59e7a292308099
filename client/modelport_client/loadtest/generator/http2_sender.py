"""Sends over connections of `http2`, opened again when they are lost."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence

from modelport.errors import Code, Unavailable
from modelport_client.loadtest.generator import frames
from modelport_client.loadtest.generator.endings import Done, Ending
from modelport_client.loadtest.generator.frames import Broken
from modelport_client.loadtest.generator.grpc_over_http2 import Request
from modelport_client.loadtest.generator.http2 import Connection

_CONNECT_WITHIN_S = 5.0  # as long as the client waits for a peer's acknowledgement
# The driver ends a call in time; a server that counts coarsely must not do so a little earlier with another code.
_TOLD_LATER_S = 0.05
_AGAIN_AFTER_S = 0.1  # as the client's own gRPC connections do


class Http2Sender:
    """See `Sender`.

    Args:
        target: `host:port`.
        path: of the method.
        messages: the samples, serialised.
        timeout_s: of a call; the server is told.
        connections: how many, over which the calls are spread.
        done: told of each call that ends.
        version_of: reads the version from an answer's bytes.
    """

    name = "HTTP/2 of its own"

    def __init__(
        self,
        target: str,
        path: str,
        messages: Sequence[bytes],
        timeout_s: float,
        connections: int,
        done: Done,
        version_of: Callable[[bytes], int | None],
    ) -> None:
        self._target = target
        self._done = done
        self._version_of = version_of
        headers = frames.block_of(
            [
                (":method", "POST"),
                (":scheme", "http"),
                (":path", path),
                (":authority", target),
                ("te", "trailers"),
                ("content-type", "application/grpc"),
                ("grpc-timeout", f"{round((timeout_s + _TOLD_LATER_S) * 1000)}m"),
                ("user-agent", "modelport-loadtest"),
            ]
        )
        self._requests = [Request(headers, message) for message in messages]
        self._wanted = connections
        self._open: list[Connection] = []
        self._opening = 0
        self._waiting: dict[int, int] = {}  # call → sample, until there is a connection
        self._where: dict[int, Connection] = {}
        self._unflushed: set[Connection] = set()
        self._turn = 0
        self._closed = False
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def room(self) -> int:
        """While connections are being opened calls may wait for them."""
        return sum(connection.room for connection in self._open) if self._open else frames.LAST_STREAM

    async def open(self) -> None:
        """Connect all."""
        try:
            for _ in range(self._wanted):
                await self._connect()
        except (OSError, Broken, TimeoutError) as error:
            raise Unavailable(self._nobody(error)) from error

    def send(self, call: int, sample: int) -> None:
        """Over the connections in turns."""
        if not self._open:
            self._waiting[call] = sample
            self._reopen()
            return
        for _ in range(len(self._open)):
            self._turn = (self._turn + 1) % len(self._open)
            if self._open[self._turn].room > 0:
                break
        connection = self._open[self._turn]
        self._where[call] = connection
        connection.send(call, self._requests[sample])
        self._unflushed.add(connection)

    def flush(self) -> None:
        """Each connection's."""
        while self._unflushed:
            self._unflushed.pop().flush()

    def forget(self, call: int) -> None:
        """Wherever it is."""
        connection = self._where.pop(call, None)
        if connection is not None:
            connection.forget(call)
            self._unflushed.add(connection)
        else:
            self._waiting.pop(call, None)

    def close(self) -> None:
        """Close all."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        for connection in self._open:
            connection.close()

    def _ended(self, call: int, now: float, ending: Ending) -> None:
        self._where.pop(call, None)
        self._done(call, now, ending)

    async def _connect(self) -> None:
        host, _, port = self._target.rpartition(":")
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(_CONNECT_WITHIN_S):
            _, connection = await loop.create_connection(
                lambda: Connection(self._target, self._ended, self._version_of, self._lost), host.strip("[]"), int(port)
            )
            await connection.ready()
        self._open.append(connection)

    def _lost(self, connection: Connection) -> None:
        if connection in self._open:
            self._open.remove(connection)
            self._reopen()

    def _reopen(self) -> None:
        if self._closed or len(self._open) + self._opening >= self._wanted:
            return
        self._opening += 1
        task = asyncio.get_running_loop().create_task(self._reconnect())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _reconnect(self) -> None:
        """Until it succeeds; calls that wait meanwhile fail with each try that does."""
        begin = time.monotonic()
        error: Exception | None = None
        try:
            await self._connect()
        except (OSError, Broken, TimeoutError) as caught:
            error = caught
        self._opening -= 1
        if error is None:
            waiting, self._waiting = self._waiting, {}
            for call, sample in waiting.items():
                self.send(call, sample)
            self.flush()
            return
        waiting, self._waiting = self._waiting, {}  # none where another connection is open
        now = time.monotonic()
        for call in waiting:
            self._done(call, now, Ending(Code.UNAVAILABLE, self._nobody(error)))
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(max(0.0, begin + _AGAIN_AFTER_S - time.monotonic()))
            self._reopen()

    def _nobody(self, error: Exception) -> str:
        return f"No server answers at {self._target}: {error or 'no connection in time'}"
