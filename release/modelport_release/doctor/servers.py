"""A running server: what answers at its port, and what it says of its models."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
from collections.abc import Iterator
from urllib.parse import urlsplit

from modelport.errors import InvalidArgument, ModelportError, NotFound, ResourceExhausted, Unavailable
from modelport_client import Client
from modelport_release.doctor.finding import Finding

_ANSWER_S = 3.0  # that a port may take to show what it speaks
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5)  # of HTTP/2, with empty settings
_GET = b"GET / HTTP/1.1\r\nHost: modelport\r\nConnection: close\r\n\r\n"
_TYPE, _SETTINGS = 3, 4  # where a frame of HTTP/2 has its type; that of the first one
_SILENT = "to nobody: the connection is taken, and nothing is said"
_NO_MODEL = "modelport-doctor"


def check(server: str, models: list[str], message_bytes: int | None = None) -> Iterator[Finding]:
    """What a server says, and whether it can be spoken to as the address says.

    Args:
        server: HOST:PORT for gRPC, http://HOST:PORT for REST, https:// for REST over TLS.
        models: to ask it for.
        message_bytes: a size of messages that has to pass; None where that is not asked.
    """
    over_rest = server.startswith(("http://", "https://"))
    wanted = "REST over TLS" if server.startswith("https://") else "REST" if over_rest else "gRPC"
    host, port = _address(server)
    try:
        spoken = speaks(host, port)
    except OSError as error:
        yield Finding(
            "error",
            server,
            f"Nobody answers there ({error.strerror or error}).",
            f"Start a server: modelport serve models/ --{'rest_api_port' if over_rest else 'port'}={port}",
        )
        return
    if spoken != wanted:
        yield _other(server, wanted, spoken, host, port)
        return
    with Client(server, retry=False, timeout=10) as client:
        for model in models:
            yield from _model(client, server, model)
        if message_bytes is not None:
            yield from _size(client, server, message_bytes)


def speaks(host: str, port: int) -> str:
    """What answers at a port: `gRPC`, `REST`, both also `over TLS`, or `something else`.

    Raises:
        OSError: nothing listens there.
    """
    answer = _answer(host, port, _PREFACE)
    if len(answer) > _TYPE and answer[_TYPE] == _SETTINGS:
        return "gRPC"
    if answer.startswith(b"HTTP/1") or _answer(host, port, _GET).startswith(b"HTTP/1"):
        return "REST"
    silent = not answer
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # who it is, is not the question
    context.set_alpn_protocols(["h2", "http/1.1"])
    try:
        with socket.create_connection((host, port), _ANSWER_S) as raw, context.wrap_socket(raw) as wrapped:
            return "gRPC over TLS" if wrapped.selected_alpn_protocol() == "h2" else "REST over TLS"
    except ssl.SSLError as error:
        asked = "certificate" in str(error).lower() or "alert" in str(error).lower()
        return "gRPC over TLS" if asked else "something else"
    except TimeoutError:
        return _SILENT if silent else "something else"
    except OSError:
        return "something else"


def _answer(host: str, port: int, asked: bytes) -> bytes:
    """The beginning of what is said to some bytes; empty where nothing is."""
    with socket.create_connection((host, port), _ANSWER_S) as plain:
        plain.settimeout(_ANSWER_S)
        try:
            plain.sendall(asked)
            return plain.recv(64)
        except OSError:
            return b""


def _other(server: str, wanted: str, spoken: str, host: str, port: int) -> Finding:
    ways = {
        "gRPC": f"Give {host}:{port} without http://.",
        "REST": f"Give http://{host}:{port}.",
        "REST over TLS": f"Give https://{host}:{port}.",
        "gRPC over TLS": "Give the client the server's certificate, or start the server without --ssl_config_file.",
        _SILENT: "A server that hangs, or another program: look at its log, restart it.",
        "something else": "Another program has this port: end it, or give another one.",
    }
    return Finding("error", server, f"Expected {wanted} there; it speaks {spoken}.", ways[spoken])


def _model(client: Client, server: str, model: str) -> Iterator[Finding]:
    try:
        states = client.status(model)
    except NotFound:
        yield Finding(
            "error", server, f"It does not serve {model!r}.", "Name it in its models.config, or start it with it."
        )
        return
    except ModelportError as error:
        yield Finding("error", server, error.message, "")
        return
    for one in states:
        if one.state == "END" and one.code:
            what = f"Version {one.version} of {model!r} did not load: {_line(one.message)}"
            yield Finding(
                "error", server, what, f"modelport quarantine {model}@{one.version} WHY, or publish a good one."
            )
        elif one.state == "LOADING" and one.code:
            what = f"Version {one.version} of {model!r} does not load, and is tried again: {_line(one.message)}"
            yield Finding(
                "error", server, what, f"modelport quarantine {model}@{one.version} WHY, or publish a good one."
            )
    if not any(one.state == "AVAILABLE" for one in states):
        yield Finding(
            "error", server, f"No version of {model!r} answers.", f"modelport status {model} --server {server}"
        )


def _size(client: Client, server: str, count: int) -> Iterator[Finding]:
    """Whether a message of a size passes whatever is on the way: the name of a model that nobody has is as long."""
    name = _NO_MODEL.ljust(count, "x")
    try:
        if server.startswith("http"):
            _post(server, count)
        else:
            client.status(name)
    except (NotFound, InvalidArgument):
        return
    except ModelportError as error:
        yield Finding(
            "error",
            server,
            f"A message of {count:,} bytes does not pass: {_line(error.message)}",
            "Raise the limit on the way: --grpc_channel_arguments=grpc.max_receive_message_length=N, or a proxy's "
            "client_max_body_size.",
        )


def _post(server: str, count: int) -> None:
    parts = urlsplit(server)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=30)
    with contextlib.closing(connection):
        try:
            connection.request("POST", f"/v1/models/{_NO_MODEL}:predict", b" " * count)
            answer = connection.getresponse()
        except OSError as error:
            raise Unavailable(f"the connection was closed ({error})") from error
        if answer.status == http.HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            raise ResourceExhausted(f"{answer.status} {answer.reason}")


def _address(server: str) -> tuple[str, int]:
    parts = urlsplit(server if "://" in server else f"grpc://{server}")
    try:
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 8500)
    except ValueError as error:
        raise InvalidArgument(f"Expected HOST:PORT, or http://HOST:PORT. Received: {server!r}") from error
    if not parts.hostname:
        raise InvalidArgument(f"Expected HOST:PORT, or http://HOST:PORT. Received: {server!r}")
    return parts.hostname, port


def _line(text: str) -> str:
    return text.partition("\n")[0][:400]
