"""The client, awaitable. Arguments, answers and errors are those of `Client`, which documents them."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from modelport.errors import FailedPrecondition, InvalidArgument
from modelport_client.asking.big_requests import Limits
from modelport_client.asking.calls import Calls, spec_of
from modelport_client.asking.replicas import Replicas
from modelport_client.asking.steps import Steps, T
from modelport_client.client import DEFAULT_TIMEOUT_S, positive
from modelport_client.driving import tracing
from modelport_client.driving.awaiting import AsyncDriver
from modelport_client.driving.connecting import connected_async
from modelport_client.prediction import Prediction
from modelport_client.results import Classified, Metadata, Regressed, VersionState
from modelport_client.servers.connection import resolve
from modelport_client.transports.deadline import Deadline
from modelport_client.transports.headers import checked_headers

if TYPE_CHECKING:
    import grpc

    from modelport.serverconfig import ServerConfig

DEFAULT_UNDER_WAY = 256  # requests: more than a server computes at a time, and few enough sockets and memory


class AsyncClient:
    """A client of one service for one event loop, in which it is made. Cancelling a task cancels its call.

    Args:
        target: see `Client`; so all others but the last.
        timeout: see `Client`.
        retry: see `Client`.
        ca: see `Client`.
        cert: see `Client`.
        key: see `Client`.
        headers: see `Client`.
        hedge_after: see `Client`; the call whose answer comes second is cancelled.
        credentials: see `Client`.
        ssl_context: see `Client`.
        under_way: requests at a time; others wait for their turn, and their timeout counts meanwhile.
    """

    def __init__(
        self,
        target: str | Sequence[str] | None = None,
        *,
        timeout: float | None = None,
        retry: bool = True,
        ca: str | os.PathLike[str] | None = None,
        cert: str | os.PathLike[str] | None = None,
        key: str | os.PathLike[str] | None = None,
        headers: Mapping[str, str] | None = None,
        hedge_after: float | None = None,
        credentials: grpc.ChannelCredentials | None = None,
        ssl_context: ssl.SSLContext | None = None,
        under_way: int = DEFAULT_UNDER_WAY,
    ) -> None:
        self._loop = _running_loop()
        if under_way < 1:
            raise InvalidArgument(f"Expected 1 request under way at least. Received: {under_way}")
        connection = resolve(target, ca=ca, cert=cert, key=key, headers=headers)
        self.target = connection.target
        self.timeout = positive(next(s for s in (timeout, connection.timeout, DEFAULT_TIMEOUT_S) if s is not None))
        self._headers = checked_headers(connection.headers)
        transports = connected_async(connection, credentials, ssl_context)
        replicas = Replicas(len(transports))
        hedge = None if hedge_after is None else positive(hedge_after)
        self._driver = AsyncDriver(transports, replicas, hedge, under_way)
        self._calls = Calls(
            self.target,
            is_rest=connection.is_rest,
            retry=retry,
            replicas=replicas,
            opened=lambda: sum(transport.opened for transport in transports),
        )

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """See `Client.close`."""
        await self._driver.close()

    async def predict(
        self,
        model: str,
        inputs: Any,
        *,
        version: int | None = None,
        label: str | None = None,
        signature: str | None = None,
        outputs: Sequence[str] = (),
        batch_rows: int | Literal["auto"] | None = None,
        batch_bytes: int | None = None,
        timeout: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Prediction:
        """See `Client.predict`."""
        spec = spec_of(model, version, label, signature)
        limits = Limits(batch_rows, batch_bytes)
        steps = self._calls.predict(spec, inputs, list(outputs), limits, self._deadline(timeout))
        return await self._run("predict", model, steps, headers)

    async def predict_batches(
        self,
        model: str,
        batches: Iterable[Any] | AsyncIterable[Any],
        *,
        version: int | None = None,
        label: str | None = None,
        signature: str | None = None,
        outputs: Sequence[str] = (),
        timeout: float | None = None,
        under_way: int = 4,
        headers: Mapping[str, str] | None = None,
    ) -> AsyncIterator[Prediction]:
        """See `Client.predict_batches`; `batches` may be an asynchronous iterable, too."""
        if under_way < 1:
            raise InvalidArgument(f"Expected 1 batch under way at least. Received: {under_way}")
        waiting: deque[asyncio.Task[Prediction]] = deque()
        source = _each(batches)
        ended: Exception | None = None
        try:
            while ended is None:
                if len(waiting) == under_way:
                    yield await waiting.popleft()
                try:
                    inputs = await anext(source)
                except Exception as error:  # of the iterable, StopAsyncIteration too
                    ended = error
                    continue
                call = self.predict(
                    model,
                    inputs,
                    version=version,
                    label=label,
                    signature=signature,
                    outputs=outputs,
                    timeout=timeout,
                    headers=headers,
                )
                waiting.append(asyncio.create_task(call))
            while waiting:
                yield await waiting.popleft()
            if not isinstance(ended, StopAsyncIteration):
                raise ended
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    async def classify(
        self,
        model: str,
        examples: Any,
        *,
        version: int | None = None,
        label: str | None = None,
        signature: str | None = None,
        context: Mapping[str, Any] | None = None,
        timeout: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Classified:
        """See `Client.classify`."""
        spec = spec_of(model, version, label, signature)
        steps = self._calls.classify(spec, examples, context, self._deadline(timeout))
        return await self._run("classify", model, steps, headers)

    async def regress(
        self,
        model: str,
        examples: Any,
        *,
        version: int | None = None,
        label: str | None = None,
        signature: str | None = None,
        context: Mapping[str, Any] | None = None,
        timeout: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Regressed:
        """See `Client.regress`."""
        spec = spec_of(model, version, label, signature)
        steps = self._calls.regress(spec, examples, context, self._deadline(timeout))
        return await self._run("regress", model, steps, headers)

    async def multi_inference(
        self,
        model: str,
        examples: Any,
        tasks: Mapping[str, str],
        *,
        version: int | None = None,
        label: str | None = None,
        context: Mapping[str, Any] | None = None,
        timeout: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Classified | Regressed]:
        """See `Client.multi_inference`."""
        spec = spec_of(model, version, label, None)
        steps = self._calls.multi_inference(spec, examples, tasks, context, self._deadline(timeout))
        return await self._run("multi_inference", model, steps, headers)

    async def metadata(
        self,
        model: str,
        *,
        version: int | None = None,
        label: str | None = None,
        timeout: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Metadata:
        """See `Client.metadata`."""
        spec = spec_of(model, version, label, None)
        return await self._run("metadata", model, self._calls.metadata(spec, self._deadline(timeout)), headers)

    async def status(
        self,
        model: str,
        *,
        version: int | None = None,
        timeout: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> list[VersionState]:
        """See `Client.status`."""
        spec = spec_of(model, version, None, None)
        return await self._run("status", model, self._calls.status(spec, self._deadline(timeout)), headers)

    async def base_path(self, model: str, *, timeout: float | None = None) -> str | None:
        """See `Client.base_path`."""
        spec = spec_of(model, None, None, None)
        return await self._run("base_path", model, self._calls.base_path(spec, self._deadline(timeout)))

    async def reload(self, config: ServerConfig, *, timeout: float | None = None) -> None:
        """See `Client.reload`."""
        await self._run("reload", "", self._calls.reload(config, self._deadline(timeout)))

    async def wait_until_available(self, model: str, version: int | None = None, timeout: float = 60.0) -> int:
        """See `Client.wait_until_available`."""
        steps = self._calls.wait_until_available(model, version, positive(timeout))
        return await self._run("wait_until_available", model, steps)

    async def _run(self, method: str, model: str, steps: Steps[T], headers: Mapping[str, str] | None = None) -> T:
        if asyncio.get_running_loop() is not self._loop:
            steps.close()
            raise FailedPrecondition(
                "Expected the event loop in which this AsyncClient was made. Make one in each loop."
            )
        told = self._headers if headers is None else {**self._headers, **checked_headers(headers)}
        with tracing.span(method, model, self.target, told) as sent:
            return await self._driver.run(steps, sent)

    def _deadline(self, timeout: float | None) -> Deadline:
        return Deadline(self.timeout if timeout is None else positive(timeout), self.target)


def _running_loop() -> asyncio.AbstractEventLoop:
    try:
        return asyncio.get_running_loop()
    except RuntimeError as error:
        raise FailedPrecondition(
            "Expected AsyncClient to be made within an event loop, in an async function."
        ) from error


async def _each(batches: Iterable[Any] | AsyncIterable[Any]) -> AsyncIterator[Any]:
    if isinstance(batches, AsyncIterable):
        async for inputs in batches:
            yield inputs
    else:
        for inputs in batches:
            yield inputs
