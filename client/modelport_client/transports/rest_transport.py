"""REST, waited for: the calls as JSON over HTTP, for where gRPC cannot pass."""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

import urllib3

from modelport.errors import ModelportError
from modelport_client.transports import proxies
from modelport_client.transports.deadline import Deadline
from modelport_client.transports.http_deadline import bound, bounded_by
from modelport_client.transports.rest_protocol import Answer, RestProtocol

_KEPT_CONNECTIONS = 64  # as many threads as share a client without opening one for a call


class RestTransport:
    """One pool of connections to one server, through the proxy that the environment names for it.

    Args:
        protocol: of the server.
        ssl_context: for https; None for the system's trust.
    """

    def __init__(self, protocol: RestProtocol, ssl_context: ssl.SSLContext | None = None) -> None:
        self._protocol = protocol
        self._manager = bound(_manager(protocol.proxy, ssl_context))
        self._pool = self._manager.connection_from_url(protocol.url)
        # The pool itself takes paths, and a tenth of a millisecond less; what goes through a proxy is the manager's.
        self._asked = self._pool if protocol.proxy is None else self._manager
        parts = urlsplit(protocol.url)
        self._before_path = "" if protocol.proxy is None else f"{parts.scheme}://{parts.netloc}"

    @property
    def opened(self) -> int:
        """How many connections were opened so far: behind a new one may be another server."""
        return self._pool.num_connections

    def perform(self, method: str, arguments: Sequence[Any], deadline: Deadline, headers: Mapping[str, str]) -> Any:
        """What the answer to a call of the protocol says. Errors are those of `modelport.errors`."""
        exchange = getattr(self._protocol, method)(*arguments, deadline)
        try:
            with bounded_by(deadline):
                response = self._asked.request(
                    exchange.verb,
                    self._before_path + exchange.path,
                    body=exchange.body,
                    headers={**self._protocol.headers, **headers},
                    timeout=urllib3.Timeout(total=deadline.check()),
                    redirect=False,
                    retries=False,
                )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise self._translated(error, deadline) from error
        return self._protocol.read(exchange, Answer(response.status, response.headers, response.data))

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()
        self._manager.clear()

    def _translated(self, error: Exception, deadline: Deadline) -> ModelportError:
        refused = isinstance(error, urllib3.exceptions.NewConnectionError)  # urllib3 counts it among the time-outs
        if deadline.left <= 0 or (isinstance(error, urllib3.exceptions.TimeoutError) and not refused):
            return self._protocol.exceeded(deadline)
        if isinstance(error, urllib3.exceptions.ClosedPoolError):
            return self._protocol.closed(error)
        return self._protocol.unavailable(error)


def _manager(proxy: proxies.Proxy | None, ssl_context: ssl.SSLContext | None) -> urllib3.PoolManager:
    if proxy is None:
        return urllib3.PoolManager(ssl_context=ssl_context, maxsize=_KEPT_CONNECTIONS)
    parts = urlsplit(proxy.url)
    headers = None
    if parts.username is not None:
        headers = urllib3.make_headers(proxy_basic_auth=f"{unquote(parts.username)}:{unquote(parts.password or '')}")
    url = f"{parts.scheme}://{proxy.address}"
    return urllib3.ProxyManager(url, proxy_headers=headers, ssl_context=ssl_context, maxsize=_KEPT_CONNECTIONS)
