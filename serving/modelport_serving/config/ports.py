"""Ports: found free, or told apart from an address that is none, before anything is loaded or started."""

from __future__ import annotations

import contextlib
import errno
import socket
import stat
from pathlib import Path

from modelport.errors import InvalidArgument, Unavailable
from modelport_serving.config.options import AUTO

BACKLOG = 1024  # connections that the kernel keeps until they are accepted
_PROBE_S = 1.0  # for whoever listens on a unix socket to take a connection
# What listens on all addresses is reached by these.
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104  # names, not what is listened on


def wanted(port: int) -> int:
    """The number to ask the system for: 0 for any."""
    return 0 if port == AUTO else port


def bracketed(host: str) -> str:
    """A host as it stands before a port number."""
    return f"[{host}]" if ":" in host else host


def reachable(host: str, port: int) -> str:
    """An address that a client on this machine can be given: `127.0.0.1:8500` for a server on all addresses."""
    return f"{bracketed(_ANY.get(host, host))}:{port}"


def listening_socket(host: str, port: int) -> socket.socket:
    """A bound TCP socket; `::` takes both families.

    Raises:
        InvalidArgument: the host is no address of this machine.
        Unavailable: the port is taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        bound = socket.socket(family)
    except OSError:  # no IPv6 here: all addresses are those of IPv4
        if host != "::":
            raise
        return listening_socket("0.0.0.0", port)  # noqa: S104  # what was asked for
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        bound.bind((host, port))
    except (socket.gaierror, OverflowError) as error:
        bound.close()
        raise InvalidArgument(
            f"Expected an address to listen on for --host, and a port below 65536. Received: {host!r}, {port}"
        ) from error
    except OSError as error:
        bound.close()
        if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
            raise InvalidArgument(f"Expected an address of this machine for --host. Received: {host!r}") from error
        raise taken(host, port) from error
    return bound


def check_free(host: str, port: int) -> None:
    """Find out before the models are loaded whether a port can be had; see `listening_socket`."""
    if port not in (0, AUTO):
        listening_socket(host, port).close()


def check_unix_socket(path: str) -> None:
    """Find out whether a unix socket can be had, and remove one that a server left behind.

    Raises:
        Unavailable: a server answers on it.
        InvalidArgument: there is something else in its place.
    """
    if not path:
        return
    try:
        mode = Path(path).lstat().st_mode
    except OSError:
        return  # not there; what is wrong with its folder is told when it is made
    if not stat.S_ISSOCK(mode):
        raise InvalidArgument(f"Expected a place for a unix socket in --grpc_socket_path. There is a file: {path!r}")
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as probe:
        probe.settimeout(_PROBE_S)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            Path(path).unlink(missing_ok=True)  # of a server that was killed
            return
        except OSError as error:
            raise Unavailable(f"Cannot listen on the unix socket {path!r}: {error}") from error
    raise Unavailable(f"Cannot listen on the unix socket {path!r}: another server answers on it. Choose another path.")


def taken(host: str, port: int) -> Unavailable:
    """The error of a port that cannot be had."""
    return Unavailable(
        f"Cannot listen on {bracketed(host)}:{port}: the port is in use or not ours to take. "
        "Choose another with --port/--rest_api_port, or 'auto' for any free one."
    )
