"""The services beside the API on the gRPC port: health and reflection, by their well-kept libraries."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import HealthServicer
from grpc_health.v1.health import aio as health_aio
from grpc_reflection.v1alpha import reflection

from modelport.dtypes import DTYPES, Layout
from modelport.wire import messages
from modelport.wire.services import MODEL_SERVICE, PREDICTION_SERVICE

# The names that the real server registers: short ones, and the server as a whole.
_HEALTHY = ("", "ModelService", "PredictionService")
_HEALTH_THREADS = 2
_Field = descriptor_pb2.FieldDescriptorProto
# How the packed fields, which our own descriptors call bytes, are declared in TensorFlow's.
_OFFICIAL_TYPES = {
    "float_val": _Field.TYPE_FLOAT,
    "double_val": _Field.TYPE_DOUBLE,
    "int_val": _Field.TYPE_INT32,
    "scomplex_val": _Field.TYPE_FLOAT,
    "int64_val": _Field.TYPE_INT64,
    "bool_val": _Field.TYPE_BOOL,
    "dcomplex_val": _Field.TYPE_DOUBLE,
    "half_val": _Field.TYPE_INT32,
    "uint32_val": _Field.TYPE_UINT32,
    "uint64_val": _Field.TYPE_UINT64,
}
assert set(_OFFICIAL_TYPES) == {d.field for d in DTYPES if d.layout not in (Layout.BYTES, Layout.STRING)}  # noqa: S101  # at import


class Health(HealthServicer):
    """The library's service, with the real server's words for a name that is not known.

    Its methods have threads of their own, because the server's may all be held by clients of reflection.
    """

    def __init__(self) -> None:
        threads = ThreadPoolExecutor(_HEALTH_THREADS, "health")
        super().__init__(experimental_non_blocking=True, experimental_thread_pool=threads)
        library_check = super().Check

        def check(request: Any, context: grpc.ServicerContext) -> Any:
            if request.service not in _HEALTHY:
                context.abort(grpc.StatusCode.NOT_FOUND, "service name unknown")
            return library_check(request, context)

        check.experimental_thread_pool = threads  # type: ignore[attr-defined]  # where gRPC looks for it
        self.Check = check  # an attribute, because methods can have none of their own


def add_health(server: grpc.Server) -> Health:
    """Add grpc.health.v1 to a server, SERVING for the names that the real server knows."""
    servicer = Health()
    for name in _HEALTHY:
        servicer.set(name, health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    return servicer


class AioHealth(health_aio.HealthServicer):
    """The same for a server of `grpc.aio`; `open` makes it SERVING."""

    async def Check(self, request: Any, context: Any) -> Any:  # noqa: N802  # gRPC's own name
        """Whether a service is there."""
        if request.service not in _HEALTHY:
            await context.abort(grpc.StatusCode.NOT_FOUND, "service name unknown")
        return await super().Check(request, context)

    async def open(self) -> None:
        """Say SERVING for the names that the real server knows."""
        for name in _HEALTHY:
            await self.set(name, health_pb2.HealthCheckResponse.SERVING)


def add_aio_health(server: Any) -> AioHealth:
    """Add grpc.health.v1 to a server of `grpc.aio`."""
    servicer = AioHealth()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    return servicer


def add_reflection(server: Any) -> None:
    """Add server reflection to a server of either kind, with the API's messages as TensorFlow declares them."""
    names = (PREDICTION_SERVICE, MODEL_SERVICE, reflection.SERVICE_NAME)
    reflection.enable_server_reflection(names, server, pool=official_pool())


def official_pool() -> DescriptorPool:
    """Our messages with TensorProto's packed fields declared as numbers, as any generated client expects them."""
    pool = DescriptorPool()
    seen: set[str] = set()

    def add(name: str) -> None:
        if name in seen:
            return
        seen.add(name)
        file = descriptor_pb2.FileDescriptorProto()
        messages.POOL.FindFileByName(name).CopyToProto(file)
        for dependency in file.dependency:
            add(dependency)
        for message in file.message_type:
            if message.name == "TensorProto":
                for field in message.field:
                    field.type = _OFFICIAL_TYPES.get(field.name, field.type)
        pool.Add(file)

    for service in (PREDICTION_SERVICE, MODEL_SERVICE):
        add(messages.POOL.FindServiceByName(service).file.name)
    return pool
