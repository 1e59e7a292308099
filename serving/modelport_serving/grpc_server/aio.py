"""The gRPC port on `grpc.aio`, gRPC's public interface for event loops.

It is for a core that `completion_queue` does not know: it takes half the requests a second (`benchmarks/echo.py`), and
needs nothing but what gRPC promises to keep.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import grpc
import grpc.aio

from modelport.errors import Code
from modelport_serving.grpc_server import health_reflection
from modelport_serving.grpc_server.unary_call import Handler, requires_one_message

_logger = logging.getLogger("modelport.serving")

_CODES = {code.value[0]: code for code in grpc.StatusCode}


class AioCall:
    """One call under way; see `unary_call.UnaryCall`. What `answer` is given is sent when the handler returns."""

    __slots__ = ("_context", "body", "code", "data", "text", "trailing")

    def __init__(self, data: bytes, context: Any) -> None:
        self.data = data
        self._context = context
        self.code, self.text, self.body = Code.INTERNAL, "Internal error.", b""
        self.trailing: Sequence[tuple[str, str | bytes]] = ()

    @property
    def peer(self) -> str:
        """See `UnaryCall`."""
        return str(self._context.peer())

    @property
    def metadata(self) -> Mapping[str, str | bytes]:
        """See `UnaryCall`."""
        return dict(self._context.invocation_metadata() or ())

    def seconds_left(self) -> float | None:
        """See `UnaryCall`."""
        left: float | None = self._context.time_remaining()
        return None if left is None else max(left, 0.0)

    def answer(self, code: Code, text: str, body: bytes, trailing: Sequence[tuple[str, str | bytes]] = ()) -> None:
        """See `UnaryCall`."""
        self.code, self.text, self.body, self.trailing = code, text, body, trailing


class AioPort:
    """The port; see `port.GrpcPort`."""

    def __init__(self, handlers: Mapping[str, Handler], options: Sequence[tuple[str, str | int]]) -> None:
        self._server = grpc.aio.server(options=options)
        self._health: health_reflection.AioHealth | None = None
        for service, methods in _by_service(handlers).items():
            self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, methods),))

    def add_reflection(self) -> None:
        """See `GrpcPort`."""
        health_reflection.add_reflection(self._server)

    def add_health(self) -> None:
        """See `GrpcPort`."""
        self._health = health_reflection.add_aio_health(self._server)

    def listen(self, address: str, credentials: Any) -> int:
        """See `GrpcPort`."""
        if credentials is None:
            return int(self._server.add_insecure_port(address))
        return int(self._server.add_secure_port(address, credentials))

    async def start(self) -> None:
        """See `GrpcPort`."""
        if self._health is not None:
            await self._health.open()
        await self._server.start()

    async def refuse_health(self) -> None:
        """See `GrpcPort`."""
        if self._health is not None:
            await self._health.enter_graceful_shutdown()

    async def stop(self, seconds: float) -> None:
        """See `GrpcPort`."""
        await self._server.stop(seconds)


def _by_service(handlers: Mapping[str, Handler]) -> dict[str, dict[str, Any]]:
    services: dict[str, dict[str, Any]] = {}
    for path, handler in handlers.items():
        _, service, method = path.split("/")
        # As a stream, because the library would read on for ever where a client sends no message at all.
        services.setdefault(service, {})[method] = grpc.stream_unary_rpc_method_handler(_endpoint(path, handler))
    return services


def _endpoint(path: str, handler: Handler) -> Any:
    async def endpoint(requests: Any, context: Any) -> bytes:
        data = await anext(aiter(requests), None)
        if data is None:
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, requires_one_message(path))
        call = AioCall(data or b"", context)
        try:
            await handler(call)
        except asyncio.CancelledError:
            raise
        except Exception:  # handlers do not raise; a client is answered even if one does
            _logger.exception("A fault while answering %s", path)
        context.set_trailing_metadata(tuple(call.trailing))
        if call.code is not Code.OK:
            await context.abort(_CODES[int(call.code)], call.text)
        return call.body

    return endpoint
