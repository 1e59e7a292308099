"""SSLConfig → credentials of the gRPC port and the TLS context of the REST port."""

from __future__ import annotations

import ssl
import tempfile
from pathlib import Path
from typing import Any

import grpc

from modelport.errors import InvalidArgument
from modelport.serverconfig import SslConfig


def check(config: SslConfig, source: str) -> None:
    """Refuse a configuration that cannot serve.

    Raises:
        InvalidArgument: no key or certificate, PEM texts that are none, or clients to verify and nothing to do it with.
    """
    if not config.server_key or not config.server_cert:
        raise InvalidArgument(f"Expected server_key and server_cert, as PEM texts, in {source!r}.")
    if config.client_verify and not config.custom_ca:
        raise InvalidArgument(f"Expected custom_ca in {source!r}: client_verify needs it to know its clients by.")
    context_of(config, source)  # says what is wrong with the texts, which gRPC does not


def credentials_of(config: SslConfig) -> Any:
    """The gRPC port's credentials."""
    pair = (config.server_key.encode(), config.server_cert.encode())
    roots = config.custom_ca.encode() if config.client_verify else None
    return grpc.ssl_server_credentials([pair], roots, config.client_verify)


def context_of(config: SslConfig, source: str) -> ssl.SSLContext:
    """The REST port's context: TLS 1.2 or newer, and client certificates where they are asked for.

    Raises:
        InvalidArgument: the PEM texts cannot be read.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        with tempfile.TemporaryDirectory() as folder:  # the ssl module reads a key from files only
            key, cert = Path(folder, "key.pem"), Path(folder, "cert.pem")
            key.touch(0o600)
            key.write_text(config.server_key)
            cert.write_text(config.server_cert)
            context.load_cert_chain(cert, key)
        if config.client_verify:
            context.load_verify_locations(cadata=config.custom_ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except (ssl.SSLError, ValueError) as error:
        raise InvalidArgument(f"Expected PEM texts of a key and its certificate in {source!r}. {error}") from error
    return context
