"""HTTP connections on which sending and receiving end at the call's deadline.

The time-outs of urllib3 and of sockets count anew with every piece that comes: an answer that drips, header or body,
is waited for without end. Here each send and each receive gets the seconds that are left of the call.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from http.client import HTTPResponse
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

from modelport_client.transports.deadline import Deadline

_CURRENT: ContextVar[Deadline] = ContextVar("the deadline of the call that this thread is in")


@contextmanager
def bounded_by(deadline: Deadline) -> Iterator[None]:
    """Within, requests of the pools made by `bound` end at the deadline with TimeoutError or DeadlineExceeded."""
    token = _CURRENT.set(deadline)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def bound(manager: urllib3.PoolManager) -> urllib3.PoolManager:
    """Let a manager make connections that keep to the deadline."""
    manager.pool_classes_by_scheme = {"http": _HTTPPool, "https": _HTTPSPool}
    return manager


class _Reader(io.RawIOBase):
    """What a socket receives, each time with the seconds that are left."""

    def __init__(self, sock: Any, raw: Any) -> None:
        self._sock = sock
        self._raw = raw

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(_CURRENT.get().check())
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(HTTPResponse):
    def __init__(self, sock: Any, *args: Any, **keywords: Any) -> None:
        super().__init__(sock, *args, **keywords)
        self.fp = io.BufferedReader(_Reader(sock, self.fp.detach()))


class _HTTPConnection(HTTPConnection):
    response_class = _Response

    def send(self, data: Any) -> None:
        if self.sock is not None:
            self.sock.settimeout(_CURRENT.get().check())
        super().send(data)


class _HTTPSConnection(HTTPSConnection):
    response_class = _Response

    def send(self, data: Any) -> None:
        if self.sock is not None:
            self.sock.settimeout(_CURRENT.get().check())
        super().send(data)


class _HTTPPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _HTTPConnection


class _HTTPSPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _HTTPSConnection
