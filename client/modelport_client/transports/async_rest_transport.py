"""REST, awaited: httpx carries it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import httpx

from modelport_client.transports.deadline import Deadline
from modelport_client.transports.rest_protocol import Answer, Exchange, RestProtocol

_KEPT_CONNECTIONS = 64  # idle ones; what is under way has its own
_BIG = (
    1 << 20
)  # bytes of JSON: writing or reading more takes longer than 5 ms, which the event loop is not made to wait


class AsyncRestTransport:
    """One pool of connections to one server, through the proxy that the environment names for it.

    Args:
        protocol: of the server.
        ssl_context: for https; None for the system's trust.
    """

    def __init__(self, protocol: RestProtocol, ssl_context: ssl.SSLContext | None = None) -> None:
        self._protocol = protocol
        self.opened = 0
        self._http = httpx.AsyncClient(
            verify=ssl_context if ssl_context is not None else True,
            proxy=None if protocol.proxy is None else protocol.proxy.url,
            trust_env=False,  # the protocol has looked
            timeout=None,  # the call's deadline bounds all of it  # noqa: S113
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=_KEPT_CONNECTIONS),
        )
        parts = httpx.URL(protocol.url)
        self._before_path = f"{parts.scheme}://{parts.netloc.decode()}"

    async def perform(
        self, method: str, arguments: Sequence[Any], deadline: Deadline, headers: Mapping[str, str]
    ) -> Any:
        """What the answer to a call of the protocol says. Cancelling the task cancels the call."""
        write = partial(getattr(self._protocol, method), *arguments, deadline)
        exchange: Exchange = await asyncio.to_thread(write) if _size(arguments) > _BIG else write()
        request = self._http.build_request(
            exchange.verb,
            self._before_path + exchange.path,
            content=exchange.body,
            headers={**self._protocol.headers, **headers},
            extensions={"trace": self._count},
        )
        try:
            async with asyncio.timeout(deadline.check()):
                response = await self._http.send(request)
        except (TimeoutError, httpx.TimeoutException) as error:
            raise self._protocol.exceeded(deadline) from error
        except (httpx.HTTPError, OSError) as error:
            raise self._protocol.unavailable(str(error) or type(error).__name__) from error
        except RuntimeError as error:  # what httpx raises on a closed client
            if not self._http.is_closed:
                raise
            raise self._protocol.closed(error) from error
        answer = Answer(response.status_code, response.headers, response.content)
        if len(answer.data) > _BIG:
            return await asyncio.to_thread(self._protocol.read, exchange, answer)
        return self._protocol.read(exchange, answer)

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def _count(self, event: str, _: Any) -> None:
        if event == "connection.connect_tcp.complete":
            self.opened += 1


def _size(arguments: Sequence[Any]) -> int:
    arrays = [value for argument in arguments if isinstance(argument, Mapping) for value in argument.values()]
    return sum(array.nbytes for array in arrays)
