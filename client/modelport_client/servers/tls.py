"""Keys and certificates, from files to what gRPC and HTTP take."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TYPE_CHECKING

from modelport.errors import InvalidArgument, from_os_error
from modelport_client.servers.connection import Connection

if TYPE_CHECKING:
    import grpc


def ssl_context(connection: Connection) -> ssl.SSLContext | None:
    """For `https://`; None for the system's trust and no certificate of our own.

    Raises:
        InvalidArgument: a file holds something else, or the addresses are `http://`.
        NotFound, PermissionDenied: a file cannot be read.
    """
    if connection.ca is None and connection.cert is None:
        return None
    plain = [address for address in connection.addresses if not address.startswith("https://")]
    if connection.is_rest and plain:
        raise InvalidArgument(f"Expected https:// with certificates. Received: {plain[0]}")
    return _checked(connection)


def channel_credentials(connection: Connection) -> grpc.ChannelCredentials | None:
    """For gRPC; None for plain text.

    Raises:
        InvalidArgument: a file holds something else.
        NotFound, PermissionDenied: a file cannot be read.
    """
    if connection.ca is None and connection.cert is None:
        return None
    import grpc

    _checked(connection)  # gRPC itself tells of a wrong file only that nobody answers
    ca, key, cert = (None if name is None else _read(name) for name in (connection.ca, connection.key, connection.cert))
    return grpc.ssl_channel_credentials(ca, key, cert)


def _checked(connection: Connection) -> ssl.SSLContext:
    for name in (connection.ca, connection.cert, connection.key):
        if name is not None:
            _read(name)
    try:
        context = ssl.create_default_context(cafile=connection.ca)
    except (ssl.SSLError, ValueError) as error:
        raise InvalidArgument(f"Expected certificates (PEM) in {connection.ca}. Received: {error}") from error
    if connection.cert is not None:
        try:
            context.load_cert_chain(connection.cert, connection.key, password=_refuse_password)
        except (ssl.SSLError, ValueError) as error:
            raise InvalidArgument(
                f"Expected a certificate (PEM) in {connection.cert} and its key, without a password, in "
                f"{connection.key}. Received: {error}"
            ) from error
    return context


def _refuse_password() -> str:
    """What is called for a key with a password: without it OpenSSL would ask on the terminal."""
    raise ValueError("a key with a password")


def _read(name: str) -> bytes:
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise from_os_error(error, "read the certificate", Path(name)) from error
