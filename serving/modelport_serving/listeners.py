"""The open ports of a server: gRPC on TCP and a unix socket, REST; opened together, drained together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from modelport.errors import Unavailable
from modelport_serving.config import ports, tls
from modelport_serving.config.settings import Settings
from modelport_serving.grpc_server.port import GrpcPort, open_port
from modelport_serving.grpc_server.services import Services
from modelport_serving.inference.data_plane import DataPlane
from modelport_serving.monitoring.metrics import Metrics
from modelport_serving.monitoring.request_log import Calls

if TYPE_CHECKING:
    from modelport_serving.rest.acceptor import Acceptor
    from modelport_serving.rest.connections import Connections
    from modelport_serving.rest.parse_pool import ParsePool

_LOOK_S = 0.02  # between two looks at what is still under way
_QUIET_S = 0.1  # without a new request, after which nothing is on its way to us any more
_LINGER_S = 1.0  # that new requests are refused, at most, before the ports are closed
_HOLD_S = 0.05  # that refusals are held back: longer than anything is on its way to a port
_FAREWELL_S = 0.5  # for the clients of connections that are ended to close them, too
_STREAMS_S = 0.2  # for the streams that are open at a stop


class Listeners:
    """Opens the ports on the running event loop, and closes them when what is under way has been answered.

    Args:
        settings: addresses, TLS, timeouts.
        plane: answers.
        calls: what is under way.
        metrics: the Prometheus page.
        say: takes a line for a person.

    Attributes:
        grpc_port, rest_port: the ports that were taken; 0 for none.
    """

    def __init__(
        self, settings: Settings, plane: DataPlane, calls: Calls, metrics: Metrics, say: Callable[[str], None]
    ) -> None:
        self._settings = settings
        self._plane = plane
        self._calls = calls
        self._metrics = metrics
        self._say = say
        self._grpc: GrpcPort | None = None
        self._acceptor: Acceptor | None = None
        self._parse_pool: ParsePool | None = None
        self._connections: Connections | None = None
        self.grpc_port = self.rest_port = 0

    async def open(self) -> None:
        """Open all ports.

        Raises:
            Unavailable: one is taken.
        """
        options = self._settings.options
        services = Services(self._plane, self._calls)
        port = self._grpc = open_port(
            options.grpc_implementation, services.handlers, options.grpc_channel_arguments, self._say
        )
        if options.enable_reflection:
            port.add_reflection()
        if options.enable_grpc_healthcheck_service:
            port.add_health()
        ssl = self._settings.ssl
        credentials = None if ssl is None else tls.credentials_of(ssl)
        if options.port:
            wanted = ports.wanted(options.port)
            try:
                self.grpc_port = port.listen(f"{ports.bracketed(options.host)}:{wanted}", credentials)
            except RuntimeError as error:
                raise ports.taken(options.host, wanted) from error
        if options.grpc_socket_path:
            try:
                port.listen(f"unix:{options.grpc_socket_path}", credentials)
            except RuntimeError as error:
                raise Unavailable(f"Cannot listen on the unix socket {options.grpc_socket_path!r}: {error}") from error
        await port.start()
        if options.rest_api_port:
            await self._open_rest()

    async def drain(self) -> bool:
        """Refuse new requests, and wait for those under way, for at most `grace_seconds`.

        The ports stay open, and what reaches them is answered with a refusal, until nothing has come for a moment: a
        port that is closed before resets what is on its way.

        Returns:
            Whether everything was answered.
        """
        deadline = time.monotonic() + self._settings.options.grace_seconds
        self._calls.draining = True
        if self._grpc is not None:
            await self._grpc.refuse_health()
        if self._connections is not None:
            self._connections.drain()
        begin = time.monotonic()
        while time.monotonic() < deadline:
            quiet = time.monotonic() - max(self._calls.last_arrival, begin)
            over = time.monotonic() - begin > _LINGER_S or (quiet > _QUIET_S and not self._connections)
            if over and not self._is_answering():
                break
            await asyncio.sleep(_LOOK_S)
        answered = not self._is_answering()
        self._plane.abandon()
        return answered

    def _is_answering(self) -> bool:
        return self._calls.under_way > 0 or (self._connections is not None and self._connections.answering)

    async def close(self) -> None:
        """Close the ports; what is still under way is given up.

        For a moment before, refusals are held back. Clients that wait for one send nothing meanwhile, so nothing is on
        its way to the ports when they close; then they get it.
        """
        self._calls.held = asyncio.Event()
        await asyncio.sleep(_HOLD_S)
        if self._acceptor is not None:
            self._acceptor.close()
        closing = None
        if self._grpc is not None:
            # What is still open now are streams, of health watches and reflection, that nobody has to wait for.
            closing = asyncio.create_task(self._grpc.stop(_STREAMS_S))
            await asyncio.sleep(_HOLD_S)
        self._calls.held.set()
        await self._see_connections_off()
        if closing is not None:
            await closing
        if self._connections is not None:
            self._connections.abort()
        if self._parse_pool is not None:
            self._parse_pool.stop()
        await asyncio.sleep(0)  # lets the loop close what was aborted

    async def _see_connections_off(self) -> None:
        """Answer the REST connections that are there, for a moment: a process that ends resets them."""
        if self._acceptor is None or self._connections is None:
            return
        begin = time.monotonic()
        while (self._acceptor.beginning or self._connections) and time.monotonic() - begin < _FAREWELL_S:
            await asyncio.sleep(_LOOK_S)
            if time.monotonic() - begin > _QUIET_S:
                self._connections.end_idle()

    async def _open_rest(self) -> None:
        # JSON is not needed by a server that speaks gRPC only.
        from modelport_serving.rest.acceptor import Acceptor, Tls
        from modelport_serving.rest.bodies import Limits
        from modelport_serving.rest.connections import Connections, Timeouts
        from modelport_serving.rest.http11 import HttpProtocol
        from modelport_serving.rest.parse_pool import ParsePool, usual_count
        from modelport_serving.rest.predict_bodies import Bodies
        from modelport_serving.rest.routes import Routes

        options = self._settings.options
        limits = Limits(
            timeout_s=options.rest_api_timeout_in_ms / 1000 if options.rest_api_timeout_in_ms > 0 else None,
            max_body_bytes=options.rest_api_max_body_bytes,
            max_inflate_ratio=options.rest_api_max_inflate_ratio,
            max_depth=options.rest_api_max_json_depth,
        )
        timeouts = Timeouts(
            head=options.rest_api_header_timeout_in_ms / 1000,
            body=options.rest_api_body_timeout_in_ms / 1000,
            idle=options.rest_api_idle_timeout_in_ms / 1000,
            read=options.rest_api_send_timeout_in_ms / 1000,
        )
        count = usual_count() if options.rest_api_readers < 0 else options.rest_api_readers
        self._parse_pool = ParsePool(count, limits.max_depth)
        self._connections = connections = Connections(timeouts, options.rest_api_max_connections, self._say)
        routes = Routes(
            self._plane,
            Bodies(limits.max_depth, self._parse_pool, self._plane.off_loop),
            limits,
            self._calls,
            self._metrics,
            metrics_path=self._settings.metrics_path,
            cors=options.rest_api_enable_cors_support,
        )
        ssl = self._settings.ssl
        sock = ports.listening_socket(options.host, ports.wanted(options.rest_api_port))
        self._acceptor = Acceptor(
            sock,
            ports.BACKLOG,
            lambda: HttpProtocol(routes, connections, limits.max_body_bytes),
            connections.make_room,
            None if ssl is None else Tls(tls.context_of(ssl, options.ssl_config_file), timeouts.head),
        )
        self.rest_port = sock.getsockname()[1]
