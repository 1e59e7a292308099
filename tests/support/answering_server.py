"""A gRPC server that answers Predict as a test says: after a time, with so many workers, with errors."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from modelport.wire import messages
from modelport.wire.services import METHODS

Answer = Callable[[messages.PredictRequest, grpc.ServicerContext], messages.PredictResponse]


def answer(version: int = 1) -> messages.PredictResponse:
    """Of a version, without outputs."""
    response = messages.PredictResponse()
    response.model_spec.name = "tiny"
    response.model_spec.version.value = version
    return response


def after(seconds: float) -> Answer:
    """An answer that takes so long."""

    def respond(request: messages.PredictRequest, context: grpc.ServicerContext) -> messages.PredictResponse:
        time.sleep(seconds)
        return answer()

    return respond


class AnsweringServer:
    """On a free port of 127.0.0.1; use as a context manager.

    Args:
        respond: answers one request.
        workers: how many requests are answered at a time; the others wait.
        port: 0 for a free one.
    """

    def __init__(self, respond: Answer, workers: int = 1, port: int = 0) -> None:
        self._server = grpc.server(ThreadPoolExecutor(workers))
        handlers: dict[str, Any] = {"Predict": self._handler("Predict", respond)}
        handlers["GetModelStatus"] = self._handler("GetModelStatus", _status)
        for service in ("PredictionService", "ModelService"):
            self._server.add_generic_rpc_handlers(
                [grpc.method_handlers_generic_handler(f"tensorflow.serving.{service}", handlers)]
            )
        self.port = self._server.add_insecure_port(f"127.0.0.1:{port}")
        self.address = f"127.0.0.1:{self.port}"

    @staticmethod
    def _handler(method: str, respond: Callable[..., Any]) -> grpc.RpcMethodHandler:
        rpc = METHODS[method]
        return grpc.unary_unary_rpc_method_handler(respond, rpc.request.FromString, rpc.response.SerializeToString)

    def __enter__(self) -> AnsweringServer:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(0).wait()

    def wait(self) -> None:
        self._server.wait_for_termination()


def _status(request: messages.GetModelStatusRequest, context: grpc.ServicerContext) -> messages.GetModelStatusResponse:
    response = messages.GetModelStatusResponse()
    response.model_version_status.add(version=1, state=30)  # AVAILABLE
    return response
