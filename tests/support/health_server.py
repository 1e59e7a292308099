"""A server of gRPC's own with its health service, which a test lets say what it likes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from grpc_health.v1 import health_pb2_grpc
from grpc_health.v1.health import HealthServicer
from grpc_health.v1.health_pb2 import HealthCheckResponse

from modelport.wire import messages


class Answering(grpc.GenericRpcHandler):
    """Answers each prediction with a version, and keeps the metadata that came along."""

    def __init__(self, version: int) -> None:
        self.version = version
        self.seen: list[dict[str, Any]] = []

    def service(self, call: Any) -> Any:
        if not call.method.endswith("/Predict"):
            return None

        def answer(_: bytes, context: Any) -> bytes:
            self.seen.append(dict(context.invocation_metadata()))
            response = messages.PredictResponse(model_spec=messages.ModelSpec(name="m"))
            response.model_spec.version.value = self.version
            return response.SerializeToString()

        return grpc.unary_unary_rpc_method_handler(answer)


@contextlib.contextmanager
def answering(version: int) -> Iterator[tuple[str, Answering, HealthServicer]]:
    """A server of gRPC's own, with its health service: its address, what it saw, and what it says of itself."""
    handler, health = Answering(version), HealthServicer()
    server = grpc.server(ThreadPoolExecutor(4), handlers=[handler])
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    health.set("", HealthCheckResponse.SERVING)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}", handler, health
    finally:
        server.stop(None).wait(10)
