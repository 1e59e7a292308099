"""The gRPC shell: bytes in, one call of the data plane, bytes out, errors as status codes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from google.protobuf.message import DecodeError, Message

from modelport.errors import Code, Internal, ModelportError, PermissionDenied
from modelport.wire import messages
from modelport.wire.services import METHODS
from modelport_serving import dataplane
from modelport_serving.calls import Call, Calls, new_request_id
from modelport_serving.core import ServerCore
from modelport_serving.dataplane import Array, Rules, Run, plan_predict
from modelport_serving.example_inference import (
    classification_result,
    example_count,
    plan_classify,
    plan_multi_inference,
    plan_regress,
    regression_result,
)
from modelport_serving.execution import Execution
from modelport_serving.metrics import Metrics
from modelport_serving.servable import Servable
from modelport_serving.unary_calls import Handler, UnaryCall

_MAX_TEXT = 1024  # bytes of an error text, as in the real server

M = TypeVar("M", bound=Message)
Endpoint = Callable[[Any, Call], Awaitable[Message]]

_COUNTED = ("Predict", "Classify", "Regress")  # by the real server's metrics; the others are only logged
_REQUEST_ID = "x-request-id"


def shorten(message: str) -> str:
    """Cut an error text as the real server does before it goes over gRPC."""
    data = message.encode(errors="replace")
    return message if len(data) <= _MAX_TEXT else data[:_MAX_TEXT].decode(errors="ignore") + "...TRUNCATED"


class GrpcApi:
    """Both services.

    Args:
        core: gives handles and states.
        execution: runs models.
        rules: what the flags say about requests.
        calls: admits requests and sees them off.
        metrics: told of MultiInference's examples.
        reloads: whether HandleReloadConfigRequest is answered.

    Attributes:
        handlers: method path → what answers its calls.
    """

    def __init__(
        self,
        core: ServerCore,
        execution: Execution,
        rules: Rules,
        calls: Calls,
        metrics: Metrics,
        *,
        reloads: bool = True,
    ) -> None:
        self._core = core
        self._execution = execution
        self._rules = rules
        self._calls = calls
        self._metrics = metrics
        self._takes_reloads = reloads
        endpoints: dict[str, Endpoint] = {
            "Predict": self._predict,
            "Classify": self._classify,
            "Regress": self._regress,
            "MultiInference": self._multi_inference,
            "GetModelMetadata": self._metadata,
            "GetModelStatus": self._status,
            "HandleReloadConfigRequest": self._reload,
        }
        # Reloads wait for models, one after the other, and never on the event loop.
        self._reloads = ThreadPoolExecutor(1, "reload")
        self.handlers = {METHODS[name].path: self._handler(name, endpoint) for name, endpoint in endpoints.items()}

    async def _predict(self, request: messages.PredictRequest, call: Call) -> Message:
        spec = dataplane.spec_of(request)
        return await self._infer(spec, call, lambda servable: plan_predict(servable, request, self._rules))

    async def _classify(self, request: messages.ClassificationRequest, call: Call) -> Message:
        spec = dataplane.spec_of(request)

        def plan(servable: Servable) -> Run[Message]:
            run = plan_classify(servable, spec.signature_name, request.input, self._rules)

            def finish(arrays: Sequence[Array]) -> Message:
                classified = run.finish(arrays)
                count = len(next(iter(run.feeds.values())))
                response = messages.ClassificationResponse(result=classification_result(classified, count))
                dataplane.fill_spec(response.model_spec, servable, run.signature)
                return response

            return Run(run.signature, run.feeds, run.fetches, finish, run.joins)

        return await self._infer(spec, call, plan)

    async def _regress(self, request: messages.RegressionRequest, call: Call) -> Message:
        spec = dataplane.spec_of(request)

        def plan(servable: Servable) -> Run[Message]:
            run = plan_regress(servable, spec.signature_name, request.input, self._rules)

            def finish(arrays: Sequence[Array]) -> Message:
                response = messages.RegressionResponse(result=regression_result(run.finish(arrays)))
                dataplane.fill_spec(response.model_spec, servable, run.signature)
                return response

            return Run(run.signature, run.feeds, run.fetches, finish, run.joins)

        return await self._infer(spec, call, plan)

    async def _multi_inference(self, request: messages.MultiInferenceRequest, call: Call) -> Message:
        """The first task's spec chooses the version; no task at all is a spec without a name."""
        spec = request.tasks[0].model_spec if request.tasks else messages.ModelSpec()
        self._metrics.examples(spec.name, example_count(request.input))
        return await self._infer(spec, call, lambda servable: plan_multi_inference(servable, request, self._rules))

    async def _infer(self, spec: messages.ModelSpec, call: Call, plan: Callable[[Servable], Run[M]]) -> M:
        call.model = spec.name
        handle = self._core.handle(spec)
        call.version = handle.servable.id.version
        try:
            run = plan(handle.servable)
        except BaseException:
            handle.release()
            raise
        arrays = await self._execution.run(handle, run.feeds, run.fetches, call.deadline, call.api, joins=run.joins)
        return run.finish(arrays)

    async def _metadata(self, request: messages.GetModelMetadataRequest, _: Call) -> Message:
        return dataplane.metadata(self._core, request)

    async def _status(self, request: messages.GetModelStatusRequest, _: Call) -> Message:
        return dataplane.status(self._core, request)

    async def _reload(self, request: messages.ReloadConfigRequest, _: Call) -> Message:
        if not self._takes_reloads:
            raise PermissionDenied("This server was started with --enable_reload=false.")
        work = asyncio.get_running_loop().run_in_executor(self._reloads, dataplane.reload_config, self._core, request)
        return await work

    def _handler(self, name: str, endpoint: Endpoint) -> Handler:
        """Parse, call, serialise, answer."""
        parse, path, calls = METHODS[name].request.FromString, METHODS[name].path, self._calls
        counted = name in _COUNTED

        async def answer(received: UnaryCall) -> None:
            data = received.data or b""
            left = received.seconds_left()
            call = Call(name, "GRPC", path, counted=counted, bytes_in=len(data))
            if left is not None:
                call.deadline = call.begin + left
            if calls.logged:
                _identify(call, received)
            code, text, body = Code.CANCELLED, "", b""
            try:
                calls.begin(call)
                try:
                    request = parse(data)
                except DecodeError as error:
                    raise Internal("") from error  # the real server refuses malformed bytes without a word
                body = (await endpoint(request, call)).SerializeToString()
                code = Code.OK
            except ModelportError as error:
                code, text = error.code, error.message
            except Exception as error:  # a fault of ours: the caller gets an answer, the log the details
                code, text = Code.INTERNAL, calls.broken(call, error)
            finally:  # also when the client is gone
                calls.end(call, code, text, len(body))
            received.answer(code, shorten(text), body, ((_REQUEST_ID, call.request_id),) if calls.logged else ())

        return answer


def _identify(call: Call, received: UnaryCall) -> None:
    """Note who asks, and the id that the request came with; it is sent back."""
    call.peer = received.peer
    sent = received.metadata.get(_REQUEST_ID)
    fits = isinstance(sent, str) and sent.isascii() and sent.isprintable()  # it is sent back
    call.request_id = (fits and str(sent)) or new_request_id()
