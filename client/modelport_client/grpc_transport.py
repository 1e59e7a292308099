"""The gRPC transport."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import grpc

from modelport import tensors
from modelport.errors import ModelportError, Unavailable, from_code
from modelport.wire import messages
from modelport.wire.services import stub
from modelport_client import proxies
from modelport_client.deadline import Deadline
from modelport_client.results import Array, Metadata, Prediction, metadata_of

_CHANNEL_OPTIONS = (
    # The server takes messages up to 2 GiB; gRPC's own default of 4 MiB for answers is what users trip over.
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # A client that starts before its server, or sees it restarted, should not wait out a back-off of minutes, nor the
    # half minute for which gRPC takes the addresses of a name for granted.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.dns_min_time_between_resolutions_ms", 1000),
    # A peer that vanishes without a word is given up when it has not acknowledged data for 5 s (gRPC makes the second
    # number the socket's TCP_USER_TIMEOUT once the first is set), rather than after the system's quarter of an hour.
    # Its pings themselves are spaced as widely as servers allow by default; quicker ones end the connection.
    ("grpc.keepalive_time_ms", 600_000),
    ("grpc.keepalive_timeout_ms", 5_000),
)
# Names that stand for a list of addresses, and are written so on purpose. Not for a plain `localhost:8500`, which also
# has two addresses, one of which may be another's.
_BALANCED = ("dns:", "ipv4:", "ipv6:")
# In what gRPC itself says of a connection; other words with UNAVAILABLE are the server's own.
_BASE_PATH = "modelport-base-path-bin"  # of trailing metadata
_OF_CONNECTIONS = ("ipv4:", "ipv6:", "unix:", "DNS", "onnect", "ocket", "recvmsg", "GOAWAY", "endpoint")
_ROUND_ROBIN = (("grpc.lb_policy_name", "round_robin"),)

DEFAULT_PORT = 8500


class GrpcTransport:
    """One channel to one target.

    Args:
        target: `host:port`, `host` (port 8500), `unix:/path`, or any gRPC name; the calls go round all addresses of
            `dns:///host:port` and `ipv4:address:port,address:port`.
        credentials: for TLS; None for plain text.
    """

    def __init__(self, target: str, credentials: grpc.ChannelCredentials | None = None) -> None:
        self._target = target = _with_port(target)
        self._proxy = proxies.for_grpc(target)
        options = _CHANNEL_OPTIONS + (_ROUND_ROBIN if target.startswith(_BALANCED) else ()) + _proxy_options(target)
        if credentials is None:
            self._channel = grpc.insecure_channel(target, options=options)
        else:
            self._channel = grpc.secure_channel(target, credentials, options=options)
        self._predict = stub(self._channel, "Predict")
        self._metadata = stub(self._channel, "GetModelMetadata")
        self._status = stub(self._channel, "GetModelStatus")
        self._reload = stub(self._channel, "HandleReloadConfigRequest")

    def predict(
        self,
        spec: messages.ModelSpec,
        inputs: Mapping[str, Array],
        outputs: Sequence[str],
        deadline: Deadline,
    ) -> Prediction:
        """Run a signature; `outputs` names those wanted, all when it is empty."""
        protos = {}
        for name, value in inputs.items():
            deadline.check()
            protos[name] = tensors.encode(value)
        request = messages.PredictRequest(model_spec=spec, inputs=protos, output_filter=outputs)
        response = self._call(self._predict, request, deadline)
        arrays = {}
        for name, proto in response.outputs.items():
            deadline.check()
            arrays[name] = tensors.decode(proto)
        answered = response.model_spec
        return Prediction(arrays, answered.name, answered.version.value, answered.signature_name)

    def metadata(self, spec: messages.ModelSpec, deadline: Deadline) -> Metadata:
        """The signatures of a version."""
        request = messages.GetModelMetadataRequest(model_spec=spec, metadata_field=["signature_def"])
        return metadata_of(self._call(self._metadata, request, deadline))

    def status(self, spec: messages.ModelSpec, deadline: Deadline) -> messages.GetModelStatusResponse:
        """The states of a model's versions."""
        return self._call(self._status, messages.GetModelStatusRequest(model_spec=spec), deadline)

    def base_path(self, spec: messages.ModelSpec, deadline: Deadline) -> str | None:
        """What a `modelport serve` on this machine adds to a status: where the versions lie."""
        request = messages.GetModelStatusRequest(model_spec=spec)
        _, call = self._call(self._status.with_call, request, deadline)
        said = dict(call.trailing_metadata() or ()).get(_BASE_PATH, b"")
        return said.decode() or None

    def reload(self, request: messages.ReloadConfigRequest, deadline: Deadline) -> None:
        """Replace the server's configuration."""
        status = self._call(self._reload, request, deadline).status
        if status.error_code:
            raise from_code(status.error_code, status.error_message)

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()

    def _call(self, method: Callable[..., Any], request: Any, deadline: Deadline) -> Any:
        try:
            return method(request, timeout=deadline.check())
        except grpc.RpcError as error:
            raise self._translated(error, deadline) from error
        except ValueError as error:  # what gRPC raises on a closed channel
            raise Unavailable(f"The connection to {self._target} was closed: {error}") from error

    def _translated(self, error: grpc.RpcError, deadline: Deadline) -> ModelportError:
        code, details = error.code(), error.details() or ""
        if code is grpc.StatusCode.UNAVAILABLE:
            if "HTTP/2" in details:
                return Unavailable(
                    f"What answers at {self._target} does not speak gRPC. If that is the REST port, ask "
                    f"http://{self._target} ({details})"
                )
            if any(word in details for word in _OF_CONNECTIONS):
                return Unavailable(self._with_proxy(f"No server answers at {self._target}: {details}"))
            return Unavailable(self._with_proxy(f"The server at {self._target} refuses for the moment: {details}"))
        if code is grpc.StatusCode.CANCELLED:  # we cancel nothing: what a server does with calls that meet its end
            return Unavailable(f"The connection to {self._target} was closed: {details}")
        if code is grpc.StatusCode.DEADLINE_EXCEEDED:
            return deadline.exceeded(self._with_proxy(details))
        return from_code(code.value[0], details)

    def _with_proxy(self, text: str) -> str:
        return text if self._proxy is None else f"{text}\n{self._proxy}"


def _proxy_options(target: str) -> tuple[tuple[str, str | int], ...]:
    """What the proxy variables come to; gRPC's core reads those in lower case only."""
    if not proxies.is_one_host(target):
        return ()
    proxy = proxies.for_grpc(target)
    return (("grpc.enable_http_proxy", 0),) if proxy is None else (("grpc.http_proxy", proxy.url),)


def _with_port(target: str) -> str:
    """A bare host gets the API's own port; gRPC would take 443."""
    is_bare = ":" not in target and "/" not in target
    return f"{target}:{DEFAULT_PORT}" if is_bare and target else target
