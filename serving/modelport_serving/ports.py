"""Ports: found free, or told apart from an address that is none, before anything is loaded or started."""

from __future__ import annotations

import contextlib
import errno
import socket

from modelport.errors import InvalidArgument, Unavailable
from modelport_serving.options import AUTO


def check_free(host: str, port: int) -> None:
    """Find out before the models are loaded whether a port can be had.

    Raises:
        InvalidArgument: the host is no address of this machine.
        Unavailable: the port is taken.
    """
    if port in (0, AUTO):
        return
    with contextlib.closing(socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (socket.gaierror, OverflowError) as error:
            raise InvalidArgument(
                f"Expected an address to listen on for --host, and a port below 65536. Received: {host!r}, {port}"
            ) from error
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                raise InvalidArgument(f"Expected an address of this machine for --host. Received: {host!r}") from error
            raise taken(host, port) from error


def taken(host: str, port: int) -> Unavailable:
    """The error of a port that cannot be had."""
    return Unavailable(
        f"Cannot listen on {host}:{port}: the port is in use or not ours to take. "
        "Choose another with --port/--rest_api_port, or 'auto' for any free one."
    )
