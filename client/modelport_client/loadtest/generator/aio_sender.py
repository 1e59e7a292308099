"""Sends by gRPC's own package: for names of several addresses, unix sockets and proxies."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Sequence

import grpc

from modelport.errors import Unavailable
from modelport_client.loadtest.generator.endings import Done, Ending, answered, no_answer, refused

_OPTIONS: tuple[tuple[str, str | int], ...] = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # As the client's: a server that comes back is found soon, and so are new addresses of a name.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.dns_min_time_between_resolutions_ms", 1000),
    ("grpc.keepalive_time_ms", 600_000),
    ("grpc.keepalive_timeout_ms", 5_000),
)
_BALANCED = ("dns:", "ipv4:", "ipv6:")


class AioSender:
    """See `Sender`, and `Http2Sender` for the arguments."""

    name = "grpc.aio"

    def __init__(
        self,
        target: str,
        path: str,
        messages: Sequence[bytes],
        timeout_s: float,
        connections: int,
        done: Done,
        version_of: Callable[[bytes], int | None],
        options_of_proxy: tuple[tuple[str, str | int], ...] = (),
    ) -> None:
        options = _OPTIONS + ((("grpc.lb_policy_name", "round_robin"),) if target.startswith(_BALANCED) else ())
        options += options_of_proxy
        self._target = target
        self._messages = messages
        self._timeout_s = timeout_s
        self._done = done
        self._version_of = version_of
        self._channels = [
            grpc.aio.insecure_channel(target, options=(*options, ("grpc.channel_number", number)))
            for number in range(connections)  # equal options would share one connection
        ]
        self._calls = [channel.unary_unary(path) for channel in self._channels]
        self._turn = 0
        self._tasks: dict[int, asyncio.Task[None]] = {}

    @property
    def room(self) -> int:
        """gRPC itself lets calls wait."""
        return sys.maxsize

    async def open(self) -> None:
        """Connect all."""
        try:
            async with asyncio.timeout(self._timeout_s):
                for channel in self._channels:
                    await channel.channel_ready()
        except TimeoutError as error:
            raise Unavailable(f"No server answers at {self._target} within {self._timeout_s:g} s") from error

    def send(self, call: int, sample: int) -> None:
        """Over the channels in turns."""
        self._turn = (self._turn + 1) % len(self._calls)
        self._tasks[call] = asyncio.get_running_loop().create_task(self._ask(call, sample, self._turn))

    def flush(self) -> None:
        """Nothing is held back here."""

    def forget(self, call: int) -> None:
        """Cancel it."""
        task = self._tasks.pop(call, None)
        if task is not None:
            task.cancel()

    def close(self) -> None:
        """Cancel all; the channels end with the process."""
        for task in self._tasks.values():
            task.cancel()

    async def _ask(self, call: int, sample: int, turn: int) -> None:
        try:
            answer = await self._calls[turn](self._messages[sample], timeout=self._timeout_s)
            ending = answered(answer, self._version_of)
        except grpc.aio.AioRpcError as error:
            ending = self._ending(error)
        now = time.monotonic()
        if self._tasks.pop(call, None) is not None:
            self._done(call, now, ending)

    def _ending(self, error: grpc.aio.AioRpcError) -> Ending:
        code, details = error.code(), error.details() or ""
        if code is grpc.StatusCode.DEADLINE_EXCEEDED:
            return no_answer(self._target, self._timeout_s, details)
        return refused(self._target, code.value[0], details)
