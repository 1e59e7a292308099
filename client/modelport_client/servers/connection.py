"""Which server is meant: what the call says, the named servers of a small file, and the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from modelport.errors import InvalidArgument, from_os_error
from modelport_client.transports.headers import checked_headers

DEFAULT_ADDRESS = "localhost:8500"
_HTTP = ("http://", "https://")
# Names that gRPC itself reads, in which a comma is its own.
_GRPC_NAMES = ("dns:", "ipv4:", "ipv6:", "unix:", "unix-abstract:", "xds:")
_KEYS: Mapping[str, type | tuple[type, ...]] = {
    "address": (str, list),
    "ca": str,
    "cert": str,
    "key": str,
    "timeout": (int, float),
    "headers": dict,
}


@dataclass(frozen=True)
class Connection:
    """Addresses of one service, and how they are spoken to.

    Attributes:
        addresses: gRPC targets or URLs, all of one kind.
        ca: a file with the certificates that are trusted (PEM); None for the system's.
        cert: a file with the certificate of this client, for mutual TLS.
        key: a file with its key.
        headers: sent with each call.
        timeout: seconds of a call; None where nobody says.
    """

    addresses: tuple[str, ...]
    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout: float | None = None

    @property
    def is_rest(self) -> bool:
        """Whether HTTP is spoken; otherwise gRPC."""
        return self.addresses[0].startswith(_HTTP)

    @property
    def target(self) -> str:
        """Who is asked, for people."""
        return ", ".join(self.addresses)


def resolve(
    target: str | Sequence[str] | None,
    *,
    ca: str | os.PathLike[str] | None = None,
    cert: str | os.PathLike[str] | None = None,
    key: str | os.PathLike[str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Connection:
    """The server that is meant.

    What the call says comes first; then the file's, where the target is the name of one of its servers, or else the
    environment's: `MODELPORT_SERVER`, `MODELPORT_CA`, `MODELPORT_CERT`, `MODELPORT_KEY` and `MODELPORT_HEADERS`
    (`name=value,name=value`). Without any of them it is `localhost:8500`.

    Args:
        target: an address, several (a list, or text with commas between), or the name of a server in the file
            `modelport.toml` of the folder `XDG_CONFIG_HOME`, or `~/.config`.
        ca: see `Connection`; so `cert`, `key` and `headers`, which are added to those found.

    Raises:
        InvalidArgument: no address, gRPC beside REST, or a file or variable that says what is not understood.
        PermissionDenied: the file cannot be read.
    """
    target = target if target is not None else os.environ.get("MODELPORT_SERVER") or DEFAULT_ADDRESS
    found = _named(target) if isinstance(target, str) and not set(target) & set(":/,") else None
    if found is None:
        found = _of_environment(_addresses(target))
    found = replace(
        found,
        ca=found.ca if ca is None else os.fspath(ca),
        cert=found.cert if cert is None else os.fspath(cert),
        key=found.key if key is None else os.fspath(key),
        headers={**checked_headers(found.headers), **checked_headers(headers or {})},
    )
    if len({address.startswith(_HTTP) for address in found.addresses}) > 1:
        raise InvalidArgument(f"Expected addresses of gRPC or of REST, not both. Received: {found.target}")
    if (found.cert is None) != (found.key is None):
        missing = "key" if found.key is None else "cert"
        raise InvalidArgument(f"Expected a certificate (cert) and its key (key). Received no {missing}")
    return found


def config_file() -> Path | None:
    """Where the named servers are; None for a user without a home, as in many containers."""
    try:
        return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "modelport.toml"
    except RuntimeError:
        return None


def _addresses(target: str | Sequence[str]) -> tuple[str, ...]:
    if isinstance(target, str):
        is_one = target.startswith(_GRPC_NAMES)
        addresses = (target,) if is_one else tuple(part.strip() for part in target.split(","))
    elif isinstance(target, list | tuple):
        addresses = tuple(target)
    else:
        addresses = ()
    if not addresses or not all(isinstance(address, str) and address for address in addresses):
        raise InvalidArgument(f"Expected a target such as 'localhost:8500' or 'http://localhost:8501': {target!r}")
    return addresses


def _of_environment(addresses: tuple[str, ...]) -> Connection:
    headers = {}
    for pair in filter(None, os.environ.get("MODELPORT_HEADERS", "").split(",")):
        name, equals, value = pair.partition("=")
        if not equals:  # the value of a header is often a secret, and is not told
            raise InvalidArgument("Expected MODELPORT_HEADERS to be name=value,name=value. Received a part without '='")
        headers[name.strip()] = value.strip()
    ca, cert, key = (os.environ.get(f"MODELPORT_{name}") or None for name in ("CA", "CERT", "KEY"))
    return Connection(addresses, ca, cert, key, headers)


def _named(name: str) -> Connection | None:
    path = config_file()
    if path is None:
        return None
    try:
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise from_os_error(error, "read the servers", path) from error
    import tomllib  # for those who have such a file

    try:
        document = tomllib.loads(content.decode())
    except ValueError as error:
        raise InvalidArgument(f"Expected TOML in {path}. Received: {error}") from error
    servers = document.get("servers", {})
    if not isinstance(servers, dict) or document.keys() - {"servers"}:
        raise InvalidArgument(f"Expected tables [servers.NAME] in {path}. Received: {sorted(document)}")
    return _server(servers[name], name, path) if name in servers else None


def _server(told: Any, name: str, path: Path) -> Connection:
    where = f"[servers.{name}] in {path}"
    if not isinstance(told, dict) or "address" not in told:
        raise InvalidArgument(f'Expected an address in {where}, such as address = "localhost:8500"')
    for key, value in told.items():
        if key not in _KEYS:
            raise InvalidArgument(f"Expected one of {sorted(_KEYS)} in {where}. Received: {key!r}")
        if not isinstance(value, _KEYS[key]) or isinstance(value, bool):
            raise InvalidArgument(f"Expected another type for {key} in {where}. Received: {type(value).__name__}")
    headers = told.get("headers", {})
    if not all(isinstance(value, str) for value in headers.values()):
        raise InvalidArgument(f"Expected text for each of the headers in {where}")
    files = {key: str(path.parent / Path(told[key]).expanduser()) for key in ("ca", "cert", "key") if key in told}
    return Connection(_addresses(told["address"]), **files, headers=headers, timeout=told.get("timeout"))
