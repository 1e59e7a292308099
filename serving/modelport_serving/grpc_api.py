"""The gRPC shell: bytes in, one call of the data plane, bytes out, errors as status codes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message

from modelport.errors import Code, Internal, ModelportError
from modelport.wire import messages
from modelport.wire.services import METHODS
from modelport_serving import dataplane
from modelport_serving.core import ServerCore
from modelport_serving.dataplane import Array, Rules, Run, plan_predict
from modelport_serving.example_inference import (
    classification_result,
    plan_classify,
    plan_multi_inference,
    plan_regress,
    regression_result,
)
from modelport_serving.execution import Execution
from modelport_serving.servable import Servable

_STATUS = {status.value[0]: status for status in grpc.StatusCode}
_MAX_TEXT = 1024  # bytes of an error text, as in the real server

M = TypeVar("M", bound=Message)
Endpoint = Callable[[Any, float | None], Awaitable[Message]]


def status_of(code: Code) -> grpc.StatusCode:
    """gRPC's status of a canonical code."""
    return _STATUS[int(code)]


def shorten(message: str) -> str:
    """Cut an error text as the real server does before it goes over gRPC."""
    data = message.encode()
    return message if len(data) <= _MAX_TEXT else data[:_MAX_TEXT].decode(errors="ignore") + "...TRUNCATED"


class GrpcApi(grpc.GenericRpcHandler):
    """Both services, for a `grpc.aio` server. An RPC that is not here answers UNIMPLEMENTED by itself.

    Args:
        core: gives handles and states.
        execution: runs models.
        rules: what the flags say about requests.
    """

    def __init__(self, core: ServerCore, execution: Execution, rules: Rules) -> None:
        self._core = core
        self._execution = execution
        self._rules = rules
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
        self._handlers = {METHODS[name].path: self._handler(name, endpoint) for name, endpoint in endpoints.items()}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        """Find the handler of a path; called by gRPC."""
        return self._handlers.get(handler_call_details.method)

    async def _predict(self, request: messages.PredictRequest, deadline: float | None) -> Message:
        spec = dataplane.spec_of(request)
        return await self._infer(spec, deadline, lambda servable: plan_predict(servable, request, self._rules))

    async def _classify(self, request: messages.ClassificationRequest, deadline: float | None) -> Message:
        spec = dataplane.spec_of(request)

        def plan(servable: Servable) -> Run[Message]:
            run = plan_classify(servable, spec.signature_name, request.input, self._rules)

            def finish(arrays: Sequence[Array]) -> Message:
                classified = run.finish(arrays)
                count = len(next(iter(run.feeds.values())))
                response = messages.ClassificationResponse(result=classification_result(classified, count))
                dataplane.fill_spec(response.model_spec, servable, run.signature)
                return response

            return Run(run.signature, run.feeds, run.fetches, finish)

        return await self._infer(spec, deadline, plan)

    async def _regress(self, request: messages.RegressionRequest, deadline: float | None) -> Message:
        spec = dataplane.spec_of(request)

        def plan(servable: Servable) -> Run[Message]:
            run = plan_regress(servable, spec.signature_name, request.input, self._rules)

            def finish(arrays: Sequence[Array]) -> Message:
                response = messages.RegressionResponse(result=regression_result(run.finish(arrays)))
                dataplane.fill_spec(response.model_spec, servable, run.signature)
                return response

            return Run(run.signature, run.feeds, run.fetches, finish)

        return await self._infer(spec, deadline, plan)

    async def _multi_inference(self, request: messages.MultiInferenceRequest, deadline: float | None) -> Message:
        """The first task's spec chooses the version; no task at all is a spec without a name."""
        spec = request.tasks[0].model_spec if request.tasks else messages.ModelSpec()
        return await self._infer(spec, deadline, lambda servable: plan_multi_inference(servable, request, self._rules))

    async def _infer(self, spec: messages.ModelSpec, deadline: float | None, plan: Callable[[Servable], Run[M]]) -> M:
        handle = self._core.handle(spec)
        try:
            run = plan(handle.servable)
        except BaseException:
            handle.release()
            raise
        return run.finish(await self._execution.run(handle, run.feeds, run.fetches, deadline))

    async def _metadata(self, request: messages.GetModelMetadataRequest, _: float | None) -> Message:
        return dataplane.metadata(self._core, request)

    async def _status(self, request: messages.GetModelStatusRequest, _: float | None) -> Message:
        return dataplane.status(self._core, request)

    async def _reload(self, request: messages.ReloadConfigRequest, _: float | None) -> Message:
        work = asyncio.get_running_loop().run_in_executor(self._reloads, dataplane.reload_config, self._core, request)
        return await work

    def _handler(self, name: str, endpoint: Endpoint) -> grpc.RpcMethodHandler:
        """Parse, call, serialise; not by gRPC's own deserialiser, so that malformed bytes are answered in our words."""
        parse = METHODS[name].request.FromString

        async def call(data: bytes, context: grpc.aio.ServicerContext) -> bytes:
            left = context.time_remaining()
            deadline = None if left is None else time.monotonic() + left
            try:
                try:
                    request = parse(data)
                except DecodeError as error:
                    raise Internal("") from error  # the real server refuses malformed bytes without a word
                response = await endpoint(request, deadline)
            except ModelportError as error:
                await context.abort(status_of(error.code), shorten(error.message))
            return response.SerializeToString()

        return grpc.unary_unary_rpc_method_handler(call)
