"""What a console was started with, checked before anything is opened."""

from __future__ import annotations

import argparse
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from modelport.errors import InvalidArgument, NotFound
from modelport.repository import Repository
from modelport_release.promotion.servers import addresses

DEFAULT_GRPC, DEFAULT_REST = "localhost:8500", "http://localhost:8501"  # of `modelport serve` and of the stack
METRICS_PATH = "/monitoring/prometheus/metrics"  # where tensorflow_model_server has its page unless told otherwise
LEAST_TOKEN = 16  # characters of a token of one's own
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})


@dataclass(frozen=True)
class Server:
    """A server that is looked at.

    Args:
        address: what a client is made with.
        rest: its REST port; None where nobody said it.
        metrics: its Prometheus page; None where nobody said it.
    """

    address: str
    rest: str | None
    metrics: str | None

    @property
    def is_rest(self) -> bool:
        """Whether it is asked over REST, which cannot change it."""
        return self.address.startswith(("http://", "https://"))


@dataclass(frozen=True)
class Settings:
    """All that a console knows of its surroundings.

    Args:
        repository: None where there is none to look at.
        config: the file that the servers were started with; None for the repository's own.
        servers: in the order of the command line.
        models: to be asked for beside those of the repository.
        token: what a viewer must know.
        names: what the Host header may be.
        read_only: there is no way to change anything.
    """

    repository: Repository | None
    config: Path | None
    servers: tuple[Server, ...]
    models: tuple[str, ...]
    token: str
    names: frozenset[str]
    read_only: bool

    @property
    def grpc_targets(self) -> str | None:
        """The servers as a promotion takes them; None where one of them cannot be told over gRPC."""
        if any(server.is_rest for server in self.servers):
            return None
        return ",".join(server.address for server in self.servers)


def servers(named: Sequence[str], rest: Sequence[str], metrics: Sequence[str]) -> tuple[Server, ...]:
    """The servers of a command line; the n-th REST address and page are those of the n-th server.

    Raises:
        InvalidArgument: an address is none, or there are more of one kind than servers.
        Unavailable: a name has no address.
    """
    if not named and not rest:
        rest = [DEFAULT_REST]
    found: list[str] = []
    for one in named or [DEFAULT_GRPC]:
        try:
            found += [_url(one, "--server")] if one.startswith(("http://", "https://")) else addresses(one)
        except argparse.ArgumentTypeError as error:
            raise InvalidArgument(f"--server: {error}") from error
    for option, given in (("--rest", rest), ("--metrics-url", metrics)):
        if len(given) > len(found):
            raise InvalidArgument(
                f"Expected at most one {option} for each server ({', '.join(found)}). Received: {len(given)} of them."
            )
    ports = [_url(one, "--rest") for one in rest]
    pages = [_url(one, "--metrics-url") for one in metrics]
    return tuple(
        _server(address, ports[place : place + 1], pages[place : place + 1]) for place, address in enumerate(found)
    )


def _server(address: str, rest: Sequence[str], page: Sequence[str]) -> Server:
    port = rest[0] if rest else address if address.startswith("http") else None
    return Server(address, port, page[0] if page else None if port is None else port + METRICS_PATH)


def names(host: str, further: Sequence[str]) -> frozenset[str]:
    """What a Host header may say: the names of loopback, the address that is listened on, and those that are told."""
    told = {_bracketed(one.lower()) for one in further}
    return LOOPBACK_NAMES | told | (frozenset() if is_any(host) else {_bracketed(host.lower())})


def is_any(host: str) -> bool:
    """Whether a host stands for all addresses."""
    return host in ("", "0.0.0.0", "::")  # noqa: S104  # compared with, not listened on


def is_loopback(host: str) -> bool:
    """Whether a host is reached from this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def repository(root: Path | None, default: Path) -> Repository | None:
    """The repository that was named; else the default one where it is there.

    Raises:
        NotFound: the one that was named is not there.
        FailedPrecondition: it is a file.
    """
    if root is None:
        return Repository(default) if default.is_dir() else None
    if not root.exists():
        raise NotFound(
            f"Expected a model repository: a folder of models. Received: {str(root)!r}, which does not exist."
        )
    return Repository(root)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def _url(text: str, option: str) -> str:
    parts = urlsplit(text)
    try:
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        fits = False
    if not fits:
        raise InvalidArgument(f"Expected http://HOST:PORT for {option}. Received: {text!r}")
    return text.rstrip("/")
