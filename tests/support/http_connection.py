"""HTTP/1.1 by hand: what is sent is up to the test, to the byte; what comes back is read one answer at a time."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Answer:
    """One response; header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def request(
    method: str,
    target: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    version: str = "1.1",
) -> bytes:
    """The bytes of a well-framed request."""
    lines = [
        f"{method} {target} HTTP/{version}",
        "Host: h",
        *(f"{key}: {value}" for key, value in (headers or {}).items()),
    ]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "\r\n"]).encode() + (body or b"")


class HttpConnection:
    """One connection.

    Args:
        address: `http://host:port`, `host:port` or `[host]:port`.
        timeout: seconds after which a read fails.
        receive_buffer: bytes that the kernel keeps for a client that does not read; 0 for its own choice.
    """

    def __init__(self, address: str, timeout: float = 30.0, receive_buffer: int = 0) -> None:
        host, port = address.removeprefix("http://").rsplit(":", 1)
        host = host.strip("[]")
        self.socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(timeout)
        try:
            self.socket.connect((host, int(port)))
        except OSError:
            self.socket.close()
            raise
        self._file = self.socket.makefile("rb")

    def __enter__(self) -> HttpConnection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def end_sending(self) -> None:
        """Close this side; the other stays open."""
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Vanish: not by a plain close, which looks like that of a client that has asked and now only reads."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        self._file.close()
        self.socket.close()

    def answer(self, to: str = "GET") -> Answer:
        """The next answer; one to HEAD has no body, nor has one of 1xx.

        Raises:
            EOFError: the server has closed the connection, before an answer or in it.
            TimeoutError, ConnectionError: nothing comes; it was reset.
        """
        line = self._file.readline()
        if not line:
            raise EOFError("closed without an answer")
        status = int(line.split()[1])
        headers: dict[str, str] = {}
        while (line := self._file.readline().strip()) != b"":
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        size = 0 if to == "HEAD" or status < 200 else int(headers["content-length"])
        body = self._file.read(size)
        if len(body) < size:
            raise EOFError(f"closed after {len(body)} of {size} bytes")
        return Answer(status, headers, body)

    def ask(
        self, method: str, target: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send a request and read its answer."""
        self.send(request(method, target, body, headers))
        return self.answer(method)

    def is_closed(self) -> bool:
        """Wait for the server to close its side; False where it sends something instead."""
        try:
            return self._file.read(1) == b""
        except ConnectionResetError:
            return True


def ask(
    address: str, method: str, target: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> Answer:
    """One request on a connection of its own."""
    with HttpConnection(address) as connection:
        return connection.ask(method, target, body, headers)
