"""The open ports of a server: gRPC on TCP and a unix socket, REST; opened together, drained together."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import grpc

from modelport.errors import InvalidArgument, Unavailable
from modelport_serving import tls
from modelport_serving.calls import Calls
from modelport_serving.core import ServerCore
from modelport_serving.dataplane import Rules
from modelport_serving.execution import Execution
from modelport_serving.grpc_api import GrpcApi
from modelport_serving.grpc_extras import Health, add_health, add_reflection
from modelport_serving.http_protocol import HttpProtocol
from modelport_serving.metrics import Metrics
from modelport_serving.options import AUTO
from modelport_serving.ports import taken
from modelport_serving.settings import Settings
from modelport_serving.unary_calls import UnaryCalls

if TYPE_CHECKING:
    from modelport_serving.json_readers import JsonReaders

_LOOK_S = 0.02  # between two looks at what is still under way
_STREAMS_S = 0.2  # for the streams that are open at a stop
_END_S = 5.0  # for the core to let go of its calls
_STREAMS = 16  # of reflection, which hold a thread each


class Listeners:
    """Opens the ports on the running event loop, and closes them when what is under way has been answered.

    Attributes:
        grpc_port, rest_port: the ports that were taken; 0 for none.
    """

    def __init__(
        self, settings: Settings, core: ServerCore, execution: Execution, rules: Rules, calls: Calls, metrics: Metrics
    ) -> None:
        self._settings = settings
        self._core = core
        self._execution = execution
        self._rules = rules
        self._calls = calls
        self._metrics = metrics
        self._grpc: grpc.Server | None = None
        self._unary: UnaryCalls | None = None
        self._health: Health | None = None
        self._http: asyncio.Server | None = None
        self._json_readers: JsonReaders | None = None
        self._connections: set[HttpProtocol] = set()
        self.grpc_port = self.rest_port = 0

    async def open(self) -> None:
        """Open all ports.

        Raises:
            Unavailable: one is taken.
        """
        options = self._settings.options
        streams = ThreadPoolExecutor(_STREAMS, "grpc-stream")
        server = self._grpc = grpc.server(streams, options=_grpc_options(options.grpc_channel_arguments))
        api = GrpcApi(
            self._core, self._execution, self._rules, self._calls, self._metrics, reloads=options.enable_reload
        )
        self._unary = UnaryCalls(server, api.handlers, asyncio.get_running_loop())
        if options.enable_reflection:
            add_reflection(server)
        if options.enable_grpc_healthcheck_service:
            self._health = add_health(server)
        if options.port:
            wanted = 0 if options.port == AUTO else options.port
            try:
                self.grpc_port = self._listen(server, f"{_bracketed(options.host)}:{wanted}")
            except RuntimeError as error:
                raise taken(options.host, wanted) from error
        if options.grpc_socket_path:
            try:
                self._listen(server, f"unix:{options.grpc_socket_path}")
            except RuntimeError as error:
                raise Unavailable(f"Cannot listen on the unix socket {options.grpc_socket_path!r}: {error}") from error
        server.start()
        self._unary.start()
        if options.rest_api_port:
            await self._open_rest()

    async def drain(self) -> None:
        """Refuse new requests, wait for those under way (for at most `grace_seconds`), close everything."""
        deadline = time.monotonic() + self._settings.options.grace_seconds
        self._calls.draining = True
        if self._health is not None:
            self._health.enter_graceful_shutdown()
        while self._calls.under_way and time.monotonic() < deadline:
            await asyncio.sleep(_LOOK_S)
        if self._http is not None:
            self._http.close()
        for connection in list(self._connections):
            connection.drain()
        if self._grpc is not None:
            # What is still open now are streams, of health watches and reflection, that nobody has to wait for.
            stopped = self._grpc.stop(min(max(deadline - time.monotonic(), 0.0), _STREAMS_S))
            if await asyncio.to_thread(stopped.wait, _END_S) and self._unary is not None:
                self._unary.close()
        while self._connections and self._calls.under_way and time.monotonic() < deadline:
            await asyncio.sleep(_LOOK_S)
        for connection in list(self._connections):
            connection.abort()
        if self._json_readers is not None:
            self._json_readers.stop()
        self._execution.abandon()
        await asyncio.sleep(0)  # lets the loop close what was aborted, and end what was abandoned

    def _listen(self, server: grpc.Server, address: str) -> int:
        ssl = self._settings.ssl
        port: int
        if ssl is None:
            port = server.add_insecure_port(address)
        else:
            port = server.add_secure_port(address, tls.credentials_of(ssl))
        return port

    async def _open_rest(self) -> None:
        # JSON is not needed by a server that speaks gRPC only.
        from modelport_serving.json_readers import JsonReaders, usual_count
        from modelport_serving.rest_api import QUICKLY_READ, Limits, RestApi

        options = self._settings.options
        limits = Limits(
            timeout_s=options.rest_api_timeout_in_ms / 1000 if options.rest_api_timeout_in_ms > 0 else None,
            max_body_bytes=options.rest_api_max_body_bytes,
            max_inflate_ratio=options.rest_api_max_inflate_ratio,
            max_depth=options.rest_api_max_json_depth,
        )
        count = usual_count() if options.rest_api_readers < 0 else options.rest_api_readers
        self._json_readers = JsonReaders(count, limits.max_depth, QUICKLY_READ)
        api = RestApi(
            self._core,
            self._execution,
            limits,
            self._rules,
            self._calls,
            self._metrics,
            self._json_readers,
            metrics_path=self._settings.metrics_path,
            cors=options.rest_api_enable_cors_support,
        )
        wanted = 0 if options.rest_api_port == AUTO else options.rest_api_port
        ssl = self._settings.ssl
        try:
            self._http = await asyncio.get_running_loop().create_server(
                lambda: HttpProtocol(api, self._connections, limits.max_body_bytes),
                options.host,
                wanted,
                backlog=1024,
                ssl=None if ssl is None else tls.context_of(ssl, options.ssl_config_file),
            )
        except OSError as error:
            raise taken(options.host, wanted) from error
        self.rest_port = self._http.sockets[0].getsockname()[1]


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _grpc_options(arguments: str) -> list[tuple[str, str | int]]:
    chosen: list[tuple[str, str | int]] = [
        ("grpc.max_receive_message_length", 2**31 - 1),
        ("grpc.max_send_message_length", -1),
        ("grpc.so_reuseport", 0),  # two servers on one port would share its traffic unnoticed
    ]
    for pair in filter(None, arguments.split(",")):
        key, equals, value = pair.partition("=")
        if not equals:
            raise InvalidArgument(f"Expected --grpc_channel_arguments as k=v,k=v. Received: {pair!r}")
        chosen.append((key, int(value) if value.lstrip("-").isdecimal() else value))
    return chosen
