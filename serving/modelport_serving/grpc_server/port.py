"""The gRPC port: one interface, two implementations, and the choice between them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Protocol

import grpc

from modelport.errors import FailedPrecondition, InvalidArgument
from modelport_serving.grpc_server.aio import AioPort
from modelport_serving.grpc_server.unary_call import Handler

Options = Sequence[tuple[str, str | int]]
Implementation = Literal["auto", "completion_queue", "aio"]  # --grpc_implementation

_NO_LIMIT = 2**31 - 1
_HANDSHAKE_MS = 20_000  # for a client to begin to speak HTTP/2, and for TLS
_IDLE_MS = 3_600_000  # after which a connection without calls is closed; clients open another unseen


class GrpcPort(Protocol):
    """A server for unary methods, and for the services beside them; belongs to the event loop."""

    def add_reflection(self) -> None:
        """Answer grpc.reflection."""

    def add_health(self) -> None:
        """Answer grpc.health.v1, SERVING for the names that the real server knows."""

    def listen(self, address: str, credentials: Any) -> int:
        """Open a port; returns its number. Raises RuntimeError where it cannot be had."""

    async def start(self) -> None:
        """Begin to take calls."""

    async def refuse_health(self) -> None:
        """Be NOT_SERVING from now on."""

    async def stop(self, seconds: float) -> None:
        """Close the ports; what is still under way after so many seconds is cancelled."""


def open_port(
    implementation: Implementation,
    handlers: Mapping[str, Handler],
    arguments: str,
    say: Callable[[str], None] = lambda line: None,
) -> GrpcPort:
    """Make the port, on the running event loop.

    Args:
        implementation: `auto` takes the completion queue where this grpcio has the core that it knows.
        handlers: method path → what answers its calls.
        arguments: `k=v,k=v` for gRPC's core (--grpc_channel_arguments).
        say: told when `auto` had to take the slower one.

    Raises:
        InvalidArgument: the arguments are not of that form.
        FailedPrecondition: the completion queue was asked for, and this grpcio has another core.
    """
    options = _options(arguments)
    if implementation == "aio":
        return AioPort(handlers, options)
    try:
        return _core_port(handlers, options)
    except FailedPrecondition as error:
        if implementation == "completion_queue":
            raise
        say(f"gRPC is served through grpc.aio, which takes fewer requests a second: {error.message}")
        return AioPort(handlers, options)


def _core_port(handlers: Mapping[str, Handler], options: Options) -> GrpcPort:
    try:
        from modelport_serving.grpc_server.core_port import CorePort

        return CorePort(handlers, options)
    except (ImportError, AttributeError, TypeError) as error:  # a part of the core is gone, or takes something else
        raise FailedPrecondition(
            f"Expected a grpcio whose core this server knows. Received: {grpc.__version__} ({error})"
        ) from error


def _options(arguments: str) -> Options:
    chosen: list[tuple[str, str | int]] = [
        ("grpc.max_receive_message_length", _NO_LIMIT),
        ("grpc.max_send_message_length", -1),
        ("grpc.so_reuseport", 0),  # two servers on one port would share its traffic unnoticed
        # Beyond these the core cancels calls at random that wait to be taken. All are taken here, and refused with a
        # reason when there are too many (--max_waiting_requests).
        ("grpc.server.max_pending_requests", _NO_LIMIT),
        ("grpc.server.max_pending_requests_hard_limit", _NO_LIMIT),
        ("grpc.server_handshake_timeout_ms", _HANDSHAKE_MS),
        ("grpc.max_connection_idle_ms", _IDLE_MS),
    ]
    for pair in filter(None, arguments.split(",")):
        key, equals, value = pair.partition("=")
        if not equals:
            raise InvalidArgument(f"Expected --grpc_channel_arguments as k=v,k=v. Received: {pair!r}")
        chosen.append((key, int(value) if value.lstrip("-").isdecimal() else value))
    return chosen
