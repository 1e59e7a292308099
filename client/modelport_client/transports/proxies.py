"""The proxy that the environment names for a target: `http_proxy`, `https_proxy` and `no_proxy`, in both letter cases.

As curl has it: lower case comes before upper case, an empty variable is none, loopback addresses are no exception
unless `no_proxy` names them, and `HTTP_PROXY` is not heeded in a CGI program, whose client could set it. gRPC's core
reads the lower-case variables by itself, `grpc_proxy` before them; here it is told what all of them come to.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

from modelport.errors import InvalidArgument

_FOR_GRPC = ("grpc_proxy", "https_proxy", "http_proxy")  # in the order in which gRPC's core looks
_ONE_HOST = re.compile(r"(?:dns:(?://[^/]*/)?|ipv4:|ipv6:)?(\[[^]]*\]|[^][:,/]+)(?::\d+)?")


@dataclass(frozen=True)
class Proxy:
    """A proxy and the variable that names it; as text, without its password."""

    variable: str
    url: str

    def __str__(self) -> str:
        return f"The variable {self.variable} names the proxy {self.address} for it; no_proxy lists what needs none."

    @property
    def address(self) -> str:
        """`host:port`."""
        return urlsplit(self.url).netloc.rpartition("@")[2]


def for_rest(url: str) -> Proxy | None:
    """The proxy for an `http://` or `https://` URL.

    Raises:
        InvalidArgument: the variable does not hold the URL of an HTTP proxy.
    """
    parts = urlsplit(url)
    proxy = None if _is_excepted(parts.hostname or "", ("no_proxy",)) else _named((f"{parts.scheme}_proxy",))
    if proxy is not None and (not proxy.url.startswith(("http://", "https://")) or not proxy.address):
        raise InvalidArgument(
            f"Expected the URL of an HTTP proxy in the variable {proxy.variable}, such as http://proxy:3128. "
            f"Received one of the scheme {proxy.url.partition('://')[0]!r} for {proxy.address!r}"
        )
    return proxy


def is_one_host(target: str) -> bool:
    """Whether a gRPC target names one host, for which we can say what the variables come to."""
    return not target.startswith("unix") and _ONE_HOST.fullmatch(target) is not None


def for_grpc(target: str) -> Proxy | None:
    """The proxy for a gRPC target that is one host."""
    match = _ONE_HOST.fullmatch(target)
    if match is None or _is_excepted(match[1].strip("[]"), ("no_grpc_proxy", "no_proxy")):
        return None
    return _named(_FOR_GRPC)


def _named(variables: Sequence[str]) -> Proxy | None:
    for variable in (*variables, *map(str.upper, variables)):
        value = os.environ.get(variable)
        if value and not (variable == "HTTP_PROXY" and "REQUEST_METHOD" in os.environ):
            return Proxy(variable, value if "://" in value else f"http://{value}")
    return None


def _is_excepted(host: str, variables: Sequence[str]) -> bool:
    """Whether the first of the variables that is set lists the host: it, a domain that it is in, a network, or `*`."""
    found = [value for name in variables if (value := os.environ.get(name) or os.environ.get(name.upper()))]
    return any(_lists(entry.strip("[]").lstrip("."), host.lower()) for entry in re.split(r"[,\s]+", "".join(found[:1])))


def _lists(entry: str, host: str) -> bool:
    if entry == "*":
        return True
    if "/" in entry:
        try:
            return ip_address(host) in ip_network(entry, strict=False)
        except ValueError:
            return False
    return bool(entry) and (host == entry.lower() or host.endswith(f".{entry.lower()}"))
