"""Several servers of one configuration: all of them change, or none."""

from __future__ import annotations

import argparse
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import Self, TypeVar

from modelport.errors import ModelportError, Unavailable
from modelport_client import Client

_T = TypeVar("_T")
_DNS = "dns:///"
_MOST_PORT = 65535


def addresses(text: str) -> list[str]:
    """`a:8500,b:8500`, and for `dns:///NAME:PORT` every address that the name has.

    Raises:
        ArgumentTypeError: there is nothing in it.
        Unavailable: the name has no address.
    """
    found: list[str] = []
    for part in filter(None, (one.strip() for one in text.split(","))):
        found += _resolved(part.removeprefix(_DNS)) if part.startswith(_DNS) else [part]
    for one in found:
        port = one.rpartition(":")[2]
        if one.startswith(("http://", "https://")) or (port.isdecimal() and int(port) > _MOST_PORT):
            raise argparse.ArgumentTypeError(
                f"expected HOST:PORT of a gRPC port, at most {_MOST_PORT}. Received: {one!r}"
            )
    if not found:
        raise argparse.ArgumentTypeError(f"expected HOST:PORT, several with commas between. Received: {text!r}")
    return list(dict.fromkeys(found))


def _resolved(name: str) -> list[str]:
    host, _, port = name.rpartition(":")
    if not host or not port.isdecimal():
        raise argparse.ArgumentTypeError(f"expected dns:///NAME:PORT. Received: {_DNS}{name}")
    try:
        infos = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)
    except OSError as error:
        raise Unavailable(f"Expected addresses of {host!r}. Received: {error.strerror or error}.") from error
    return [
        f"[{address[0]}]:{port}" if family == socket.AF_INET6 else f"{address[0]}:{port}"
        for family, *_, address in infos
    ]


class Servers:
    """Clients of several servers; used as a context.

    Args:
        targets: their addresses.
        timeout: seconds of a call.
    """

    def __init__(self, targets: Sequence[str], timeout: float) -> None:
        self._stack = ExitStack()
        self.clients = [self._stack.enter_context(Client(target, timeout=timeout)) for target in targets]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    def each(self, do: Callable[[Client], _T]) -> list[_T]:
        """Do something with all at once.

        Raises:
            ModelportError: the first that fails, once all have ended; with several servers the message says which.
        """
        with ThreadPoolExecutor(len(self.clients)) as executor:
            done = [executor.submit(do, client) for client in self.clients]
        for client, future in zip(self.clients, done, strict=True):
            error = future.exception()
            if isinstance(error, ModelportError) and len(self.clients) > 1:
                raise type(error)(f"{client.target}: {error.message}") from error
            if error is not None:
                raise error
        return [future.result() for future in done]

    def try_each(self, do: Callable[[Client], object]) -> None:
        """Do something with all at once, whatever comes of it."""
        with suppress(ModelportError):
            self.each(do)
