"""gRPC stubs from the service descriptors: no generated `_pb2_grpc` files.

Source of the method paths: the services in `protos/api.proto`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from google.protobuf import message_factory
from google.protobuf.message import Message

from modelport.wire.messages import POOL

if TYPE_CHECKING:
    import grpc


@dataclass(frozen=True)
class Method:
    """One unary RPC: its short name, its path on the wire and its message classes."""

    name: str
    path: str
    request: type[Message]
    response: type[Message]


def _methods(service: str) -> dict[str, Method]:
    descriptor = POOL.FindServiceByName(service)
    return {
        method.name: Method(
            method.name,
            f"/{service}/{method.name}",
            message_factory.GetMessageClass(method.input_type),
            message_factory.GetMessageClass(method.output_type),
        )
        for method in descriptor.methods
    }


PREDICTION_SERVICE = "tensorflow.serving.PredictionService"
MODEL_SERVICE = "tensorflow.serving.ModelService"
METHODS: dict[str, Method] = {**_methods(PREDICTION_SERVICE), **_methods(MODEL_SERVICE)}


def stub(channel: grpc.Channel, method: str) -> Any:
    """The callable of one RPC on a channel: `stub(channel, "Predict")(request, timeout=…) -> response`."""
    rpc = METHODS[method]
    return channel.unary_unary(
        rpc.path, request_serializer=rpc.request.SerializeToString, response_deserializer=rpc.response.FromString
    )
