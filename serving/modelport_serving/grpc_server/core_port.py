"""The gRPC port on gRPC's own core.

`grpc.server` opens the ports, ends TLS, serves streams and refuses unknown methods; the methods of the API come through
`completion_queue`. `aio` does the same on what is public, for another core.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from modelport_serving.grpc_server import health_reflection
from modelport_serving.grpc_server.completion_queue import UnaryCalls
from modelport_serving.grpc_server.unary_call import Handler

_STREAMS = 16  # of reflection and health watches, which hold a thread each
_END_S = 5.0  # for the core to let go of its calls


class CorePort:
    """The port; see `port.GrpcPort`."""

    def __init__(self, handlers: Mapping[str, Handler], options: Sequence[tuple[str, str | int]]) -> None:
        self._server = grpc.server(ThreadPoolExecutor(_STREAMS, "grpc-stream"), options=options)
        self._calls = UnaryCalls(self._server, handlers, asyncio.get_running_loop())
        self._health: health_reflection.Health | None = None

    def add_reflection(self) -> None:
        """See `GrpcPort`."""
        health_reflection.add_reflection(self._server)

    def add_health(self) -> None:
        """See `GrpcPort`."""
        self._health = health_reflection.add_health(self._server)

    def listen(self, address: str, credentials: Any) -> int:
        """See `GrpcPort`."""
        if credentials is None:
            return int(self._server.add_insecure_port(address))
        return int(self._server.add_secure_port(address, credentials))

    async def start(self) -> None:
        """See `GrpcPort`."""
        self._server.start()
        self._calls.start()

    async def refuse_health(self) -> None:
        """See `GrpcPort`."""
        if self._health is not None:
            self._health.enter_graceful_shutdown()

    async def stop(self, seconds: float) -> None:
        """See `GrpcPort`."""
        stopped = self._server.stop(seconds)
        if await asyncio.to_thread(stopped.wait, seconds + _END_S):
            self._calls.close()
