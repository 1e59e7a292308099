"""The transports that a connection names; each kind is imported only where it is used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from modelport.errors import FailedPrecondition, InvalidArgument
from modelport_client.servers.connection import Connection

if TYPE_CHECKING:
    import ssl

    import grpc

    from modelport_client.driving.awaiting import AsyncTransport
    from modelport_client.driving.waiting import Transport


def connected(
    connection: Connection, credentials: grpc.ChannelCredentials | None, context: ssl.SSLContext | None
) -> Sequence[Transport]:
    """A transport for each address, to be waited for."""
    _refuse_of_the_other(connection, credentials, context)
    if connection.is_rest:
        from modelport_client.transports.rest_protocol import RestProtocol
        from modelport_client.transports.rest_transport import RestTransport

        context = context or _context(connection)
        return [RestTransport(RestProtocol(address), context) for address in connection.addresses]
    from modelport_client.transports.grpc_protocol import GrpcProtocol
    from modelport_client.transports.grpc_transport import GrpcTransport

    credentials = credentials or _credentials(connection)
    is_replica = len(connection.addresses) > 1
    return [
        GrpcTransport(GrpcProtocol(address, is_replica=is_replica), credentials) for address in connection.addresses
    ]


def connected_async(
    connection: Connection, credentials: grpc.ChannelCredentials | None, context: ssl.SSLContext | None
) -> Sequence[AsyncTransport]:
    """A transport for each address, to be awaited."""
    _refuse_of_the_other(connection, credentials, context)
    if connection.is_rest:
        from modelport_client.transports.rest_protocol import RestProtocol

        try:
            from modelport_client.transports.async_rest_transport import AsyncRestTransport
        except ModuleNotFoundError as error:
            raise FailedPrecondition(
                f"Expected aiohttp for REST in AsyncClient; '{error.name}' is not installed. Run: pip install "
                "'modelport[async]', or ask the gRPC port."
            ) from error
        context = context or _context(connection)
        return [AsyncRestTransport(RestProtocol(address), context) for address in connection.addresses]
    from modelport_client.transports.async_grpc_transport import AsyncGrpcTransport
    from modelport_client.transports.grpc_protocol import GrpcProtocol

    credentials = credentials or _credentials(connection)
    is_replica = len(connection.addresses) > 1
    return [
        AsyncGrpcTransport(GrpcProtocol(address, is_replica=is_replica), credentials)
        for address in connection.addresses
    ]


def _context(connection: Connection) -> ssl.SSLContext | None:
    from modelport_client.servers import tls

    return tls.ssl_context(connection)


def _credentials(connection: Connection) -> grpc.ChannelCredentials | None:
    if connection.ca is None and connection.cert is None:
        return None
    from modelport_client.servers import tls

    return tls.channel_credentials(connection)


def _refuse_of_the_other(
    connection: Connection, credentials: grpc.ChannelCredentials | None, context: ssl.SSLContext | None
) -> None:
    """What would be passed over, and the call go out in plain text."""
    if context is not None and not all(address.startswith("https://") for address in connection.addresses):
        raise InvalidArgument(f"Expected https:// for an ssl_context. Received: {connection.target}")
    if credentials is not None and connection.is_rest:
        raise InvalidArgument(f"Expected a gRPC target for credentials. Received: {connection.target}")
    if (context or credentials) is not None and (connection.ca or connection.cert):
        raise InvalidArgument("Expected files (ca, cert, key), or an ssl_context or credentials. Received both.")
