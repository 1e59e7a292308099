"""Which sender fits a target."""

from __future__ import annotations

import re

from google.protobuf.message import DecodeError

from modelport.errors import Unimplemented
from modelport.wire import messages
from modelport_client.loadtest.generator.endings import Done
from modelport_client.loadtest.generator.sender import Sender
from modelport_client.loadtest.plan import GRPC, Plan
from modelport_client.transports import proxies

DEFAULT_PORT = 8500
_MODEL_SPEC = 0x12  # field 2 of PredictResponse, a message
_OUTPUTS = 0x0A  # field 1


def sender_for(plan: Plan, done: Done) -> Sender:
    """The quickest one that reaches the target.

    Raises:
        Unimplemented: the environment names a proxy that none of them can pass.
    """
    bodies = plan.samples.bodies
    if plan.samples.protocol != GRPC:
        from modelport_client.loadtest.generator.http1_sender import Http1Sender

        rest_proxy = proxies.for_rest(plan.target)
        if rest_proxy is not None and (plan.target.startswith("https:") or "@" in rest_proxy.url):
            raise Unimplemented(f"Expected a server that is reached without a tunnel through a proxy. {rest_proxy}")
        url = None if rest_proxy is None else rest_proxy.url
        return Http1Sender(plan.target, plan.samples.path, bodies, plan.connections, done, url)
    target = plan.target if is_plain(plan.target) or ":" in plan.target else f"{plan.target}:{DEFAULT_PORT}"
    grpc_proxy = proxies.for_grpc(target)
    arguments = (target, plan.samples.path, bodies, plan.timeout_s, plan.connections, done, version_of)
    if grpc_proxy is None and is_plain(target):
        from modelport_client.loadtest.generator.http2_sender import Http2Sender

        return Http2Sender(*arguments)
    from modelport_client.loadtest.generator.aio_sender import AioSender

    options: tuple[tuple[str, str | int], ...] = ()
    if proxies.is_one_host(target):  # for others gRPC reads the environment by itself
        options = (("grpc.enable_http_proxy", 0),) if grpc_proxy is None else (("grpc.http_proxy", grpc_proxy.url),)
    return AioSender(*arguments, options)


def is_plain(target: str) -> bool:
    """Whether a target is `host:port`, and nothing that only gRPC resolves."""
    return re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):\d+", target) is not None


def version_of(answer: bytes) -> int | None:
    """The version in a PredictResponse, without reading its outputs.

    Raises:
        ValueError: the bytes are none.
    """
    try:
        return _read_version(answer)
    except DecodeError as error:
        raise ValueError(str(error)) from error


def _read_version(answer: bytes) -> int | None:
    spec = b""
    position, size = 0, len(answer)
    while position < size:
        tag = answer[position]
        if tag not in (_MODEL_SPEC, _OUTPUTS):  # none that we know: protobuf reads it all
            return _number(messages.PredictResponse.FromString(answer).model_spec.SerializeToString())
        length, position = _varint(answer, position + 1)
        if tag == _MODEL_SPEC:
            spec += answer[position : position + length]  # a message in two parts is their sum
        position += length
    if position > size:
        raise ValueError("a message that ends too soon")
    return _number(spec)


_known: dict[bytes, int | None] = {}


def _number(spec: bytes) -> int | None:
    if spec not in _known:
        said = messages.ModelSpec.FromString(spec)
        _known[spec] = said.version.value if said.HasField("version") else None
    return _known[spec]


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if position >= len(data):
            raise ValueError("a message that ends too soon")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
