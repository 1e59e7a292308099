"""REST, awaited: aiohttp carries it. httpx looks at all its connections for each request: at 256 of them that takes
10 ms, and the thousand calls of the benchmark ten seconds.
"""

from __future__ import annotations

import asyncio
import io
import ssl
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from modelport_client.transports.deadline import Deadline
from modelport_client.transports.rest_protocol import Answer, Exchange, RestProtocol

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
        counting = aiohttp.TraceConfig()
        counting.on_connection_create_end.append(self._count)
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0, ssl=True if ssl_context is None else ssl_context
            ),  # 0: the driver's
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(),  # none: the call's deadline bounds all of it
            trace_configs=[counting],
        )
        parts = urlsplit(protocol.url)
        self._before_path = f"{parts.scheme}://{parts.netloc}"
        self._proxy = None if protocol.proxy is None else protocol.proxy.url

    async def perform(
        self, method: str, arguments: Sequence[Any], deadline: Deadline, headers: Mapping[str, str]
    ) -> Any:
        """What the answer to a call of the protocol says. Cancelling the task cancels the call."""
        write = partial(getattr(self._protocol, method), *arguments, deadline)
        exchange: Exchange = await asyncio.to_thread(write) if _size(arguments) > _BIG else write()
        if self._http.closed:
            raise self._protocol.closed("by this client")
        try:
            async with asyncio.timeout(deadline.check()):
                answer = await self._sent(exchange, headers)
        except TimeoutError as error:
            raise self._protocol.exceeded(deadline) from error
        except (aiohttp.ClientError, OSError) as error:
            if self._http.closed:
                raise self._protocol.closed(error) from error
            raise self._protocol.unavailable(str(error) or type(error).__name__) from error
        if len(answer.data) > _BIG:
            return await asyncio.to_thread(self._protocol.read, exchange, answer)
        return self._protocol.read(exchange, answer)

    async def close(self) -> None:
        """Close all connections."""
        await self._http.close()

    async def _sent(self, exchange: Exchange, headers: Mapping[str, str]) -> Answer:
        async with self._http.request(
            exchange.verb,
            URL(self._before_path + exchange.path, encoded=True),
            data=None if exchange.body is None else io.BytesIO(exchange.body),  # sent in pieces, between other calls
            headers={"Accept-Encoding": "identity", **self._protocol.headers, **headers},
            allow_redirects=False,
            proxy=self._proxy,
        ) as response:
            return Answer(response.status, response.headers, await response.read())

    async def _count(self, *_: Any) -> None:
        self.opened += 1


def _size(arguments: Sequence[Any]) -> int:
    arrays = [value for argument in arguments if isinstance(argument, Mapping) for value in argument.values()]
    return sum(array.nbytes for array in arrays)
