"""The services of the API over gRPC: bytes in, one call of the data plane, bytes out, errors as status codes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from google.protobuf.message import DecodeError, Message

from modelport.errors import Code, Internal, ModelportError
from modelport.wire import messages
from modelport.wire.services import METHODS
from modelport_serving.grpc_server.unary_call import Handler, UnaryCall
from modelport_serving.inference import large_request
from modelport_serving.inference.data_plane import DataPlane
from modelport_serving.inference.example_answers import classification_response, regression_response
from modelport_serving.inference.large_response import LargeResponse
from modelport_serving.inference.off_loop import LARGE_BYTES
from modelport_serving.inference.run import spec_of
from modelport_serving.monitoring.request_log import Call, Calls, new_request_id

_BASE_PATH = "modelport-base-path-bin"  # trailing metadata of status: where the versions lie, for `modelport promote`
_MAX_TEXT = 1024  # bytes of an error text, as in the real server
_REQUEST_ID = "x-request-id"

Endpoint = Callable[[Any, Call], Awaitable[Message | LargeResponse]]


def is_local(peer: str) -> bool:
    """Whether a client, as gRPC writes its address, is on this machine: it may know where its models are."""
    return peer.startswith(("unix:", "ipv4:127.", "ipv6:%5B::1%5D", "ipv6:[::1]"))


def shorten(message: str) -> str:
    """Cut an error text as the real server does before it goes over gRPC."""
    data = message.encode(errors="replace")
    return message if len(data) <= _MAX_TEXT else data[:_MAX_TEXT].decode(errors="ignore") + "...TRUNCATED"


class Services:
    """Both services.

    Args:
        plane: answers.
        calls: admits requests and sees them off.

    Attributes:
        handlers: method path → what answers its calls.
    """

    def __init__(self, plane: DataPlane, calls: Calls) -> None:
        self._plane = plane
        self._calls = calls
        endpoints: dict[str, Endpoint] = {
            "Predict": plane.predict,
            "Classify": self._classify,
            "Regress": self._regress,
            "MultiInference": plane.multi_inference,
            "GetModelMetadata": self._metadata,
            "GetModelStatus": self._status,
            "HandleReloadConfigRequest": self._reload,
        }
        self.handlers = {METHODS[name].path: self._handler(name, endpoint) for name, endpoint in endpoints.items()}

    async def _classify(self, request: messages.ClassificationRequest, call: Call) -> Message:
        answer = await self._plane.classify(spec_of(request), request.input, call)
        return await self._plane.off_loop.run(call.is_large, classification_response, answer)

    async def _regress(self, request: messages.RegressionRequest, call: Call) -> Message:
        answer = await self._plane.regress(spec_of(request), request.input, call)
        return await self._plane.off_loop.run(call.is_large, regression_response, answer)

    async def _metadata(self, request: messages.GetModelMetadataRequest, _: Call) -> Message:
        return self._plane.metadata(request)

    async def _status(self, request: messages.GetModelStatusRequest, _: Call) -> Message:
        return self._plane.status(request)

    async def _reload(self, request: messages.ReloadConfigRequest, _: Call) -> Message:
        return await self._plane.reload(request)

    def _base_path(self, model: str) -> str:
        return next((one.base_path for one in self._plane.core.models if one.name == model), "")

    def _handler(self, name: str, endpoint: Endpoint) -> Handler:
        """Parse, call, serialise, answer."""
        path = METHODS[name].path
        parse = large_request.parse if name == "Predict" else METHODS[name].request.FromString
        calls, off_loop = self._calls, self._plane.off_loop

        async def answer(received: UnaryCall) -> None:
            data = received.data
            request: Any = None
            call = Call(name, "GRPC", path, bytes_in=len(data))
            if calls.logged:
                _identify(call, received)
            code, text, body = Code.CANCELLED, "", b""
            try:
                calls.begin(call, received.seconds_left())
                try:
                    request = await off_loop.run(len(data) > LARGE_BYTES, parse, data)
                except DecodeError as error:
                    raise Internal("") from error  # the real server refuses malformed bytes without a word
                response = await endpoint(request, call)
                body = await off_loop.run(call.is_large, response.SerializeToString)
                code = Code.OK
            except ModelportError as error:
                code, text = error.code, error.message
            except Exception as error:  # a fault of ours: the caller gets an answer, the log the details
                code, text = Code.INTERNAL, calls.broken(call, error)
            finally:  # also when the client is gone
                calls.end(call, code, text, len(body))
            trailing: list[tuple[str, str | bytes]] = [(_REQUEST_ID, call.request_id)] if calls.logged else []
            if name == "GetModelStatus" and code is Code.OK and is_local(received.peer):
                trailing.append((_BASE_PATH, self._base_path(spec_of(request).name).encode()))
            await calls.before_answer()
            received.answer(code, shorten(text), body, trailing)

        return answer


def _identify(call: Call, received: UnaryCall) -> None:
    """Note who asks, and the id that the request came with; it is sent back."""
    call.peer = received.peer
    sent = received.metadata.get(_REQUEST_ID)
    fits = isinstance(sent, str) and sent.isascii() and sent.isprintable()  # it is sent back
    call.request_id = (fits and str(sent)) or new_request_id()
