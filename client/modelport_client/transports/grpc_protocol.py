"""What goes over gRPC for each call: the message that is sent, and how the answer is read. No connection in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import grpc

from modelport import __version__, tensors
from modelport.errors import ModelportError, Unavailable, from_code
from modelport.wire import messages
from modelport_client.results import (
    Array,
    Classified,
    Metadata,
    Prediction,
    Regressed,
    VersionState,
    classified_of,
    metadata_of,
    regressed_of,
    states_of,
)
from modelport_client.transports import proxies
from modelport_client.transports.deadline import Deadline

DEFAULT_PORT = 8500

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
    ("grpc.primary_user_agent", f"modelport-client/{__version__}"),
)
# Names that stand for a list of addresses, and are written so on purpose. Not for a plain `localhost:8500`, which also
# has two addresses, one of which may be another's.
_BALANCED = ("dns:", "ipv4:", "ipv6:")
# Goes round the addresses, and leaves out one whose health service says NOT_SERVING. One that has no health service,
# as tensorflow_model_server, is asked as long as it takes connections.
_ROUND_ROBIN = (
    (
        "grpc.service_config",
        '{"loadBalancingConfig": [{"round_robin": {}}], "healthCheckConfig": {"serviceName": ""}}',
    ),
)
_BASE_PATH = "modelport-base-path-bin"  # of trailing metadata
# In what gRPC itself says of a connection; other words with UNAVAILABLE are the server's own.
_OF_CONNECTIONS = ("ipv4:", "ipv6:", "unix:", "DNS", "resolving", "onnect", "ocket", "recvmsg", "GOAWAY", "endpoint")

Trailing = Sequence[tuple[str, Any]] | None


@dataclass(frozen=True, slots=True)
class Exchange:
    """One RPC: its name, what is sent, and what is made of the answer and its trailing metadata."""

    rpc: str
    request: Any
    read: Callable[[Any, Trailing], Any]
    wants_trailing: bool = False


class GrpcProtocol:
    """The calls of one target.

    Args:
        target: `host:port`, `host` (port 8500), `unix:/path`, or any gRPC name; the calls go round all addresses of
            `dns:///host:port` and `ipv4:address:port,address:port`.
        is_replica: the target is one of several, and is left out while it says that it does not serve.
    """

    def __init__(self, target: str, *, is_replica: bool = False) -> None:
        self.target = _with_port(target)
        self._proxy = proxies.for_grpc(self.target)
        is_balanced = is_replica or self.target.startswith(_BALANCED)
        self.options = _CHANNEL_OPTIONS + (_ROUND_ROBIN if is_balanced else ()) + _proxy_options(self.target)

    def predict(
        self, spec: messages.ModelSpec, inputs: Mapping[str, Array], outputs: Sequence[str], deadline: Deadline
    ) -> Exchange:
        """Run a signature; `outputs` names those wanted, all when it is empty."""
        protos = {}
        for name, value in inputs.items():
            deadline.check()
            protos[name] = tensors.encode(value)
        request = messages.PredictRequest(model_spec=spec, inputs=protos, output_filter=outputs)

        def read(response: Any, _: Trailing) -> Prediction:
            arrays = {}
            for name, proto in response.outputs.items():
                deadline.check()
                arrays[name] = tensors.decode(proto)
            answered = response.model_spec
            return Prediction(arrays, answered.name, answered.version.value, answered.signature_name)

        return Exchange("Predict", request, read)

    def classify(self, spec: messages.ModelSpec, examples: messages.Input, deadline: Deadline) -> Exchange:
        """Classes and their scores of tf.Examples."""

        def read(response: Any, _: Trailing) -> Classified:
            return classified_of(response.result, response.model_spec)

        return Exchange("Classify", messages.ClassificationRequest(model_spec=spec, input=examples), read)

    def regress(self, spec: messages.ModelSpec, examples: messages.Input, deadline: Deadline) -> Exchange:
        """A number of each tf.Example."""

        def read(response: Any, _: Trailing) -> Regressed:
            return regressed_of(response.result, response.model_spec)

        return Exchange("Regress", messages.RegressionRequest(model_spec=spec, input=examples), read)

    def multi_inference(
        self, tasks: Sequence[messages.InferenceTask], examples: messages.Input, deadline: Deadline
    ) -> Exchange:
        """Several signatures of one model on the same tf.Examples."""

        def read(response: Any, _: Trailing) -> dict[str, Classified | Regressed]:
            return {
                result.model_spec.signature_name: classified_of(result.classification_result, result.model_spec)
                if result.WhichOneof("result") == "classification_result"
                else regressed_of(result.regression_result, result.model_spec)
                for result in response.results
            }

        return Exchange("MultiInference", messages.MultiInferenceRequest(tasks=tasks, input=examples), read)

    def metadata(self, spec: messages.ModelSpec, deadline: Deadline) -> Exchange:
        """The signatures of a version."""

        def read(response: Any, _: Trailing) -> Metadata:
            return metadata_of(response)

        request = messages.GetModelMetadataRequest(model_spec=spec, metadata_field=["signature_def"])
        return Exchange("GetModelMetadata", request, read)

    def status(self, spec: messages.ModelSpec, deadline: Deadline) -> Exchange:
        """The states of a model's versions."""

        def read(response: Any, _: Trailing) -> list[VersionState]:
            return states_of(response)

        return Exchange("GetModelStatus", messages.GetModelStatusRequest(model_spec=spec), read)

    def base_path(self, spec: messages.ModelSpec, deadline: Deadline) -> Exchange:
        """What a `modelport serve` on this machine adds to a status: where the versions lie."""

        def read(_: Any, trailing: Trailing) -> str | None:
            said: bytes = dict(trailing or ()).get(_BASE_PATH, b"")
            return said.decode() or None

        request = messages.GetModelStatusRequest(model_spec=spec)
        return Exchange("GetModelStatus", request, read, wants_trailing=True)

    def reload(self, request: messages.ReloadConfigRequest, deadline: Deadline) -> Exchange:
        """Replace the server's configuration."""

        def read(response: Any, _: Trailing) -> None:
            if response.status.error_code:
                raise from_code(response.status.error_code, response.status.error_message)

        return Exchange("HandleReloadConfigRequest", request, read)

    def translated(self, error: grpc.RpcError, deadline: Deadline) -> ModelportError:
        """The error of a call, by its code and who said it."""
        code, details = error.code(), error.details() or ""
        if code is grpc.StatusCode.UNAVAILABLE:
            if "HTTP/2" in details:
                return Unavailable(
                    f"What answers at {self.target} does not speak gRPC. If that is the REST port, ask "
                    f"http://{self.target} ({details})"
                )
            if any(word in details for word in _OF_CONNECTIONS):
                return Unavailable(self._with_proxy(f"No server answers at {self.target}: {details}"))
            return Unavailable(self._with_proxy(f"The server at {self.target} refuses for the moment: {details}"))
        if code is grpc.StatusCode.CANCELLED:  # we cancel nothing: what a server does with calls that meet its end
            return self.closed(details)
        if code is grpc.StatusCode.DEADLINE_EXCEEDED:
            return deadline.exceeded(self._with_proxy(details))
        return from_code(code.value[0], details)

    def closed(self, details: object) -> Unavailable:
        """The error of a call whose connection is closed."""
        return Unavailable(f"The connection to {self.target} was closed: {details}")

    def _with_proxy(self, text: str) -> str:
        return text if self._proxy is None else f"{text}\n{self._proxy}"


def metadata_of_call(headers: Mapping[str, str]) -> tuple[tuple[str, str], ...] | None:
    """Headers as gRPC has them: names in lower case."""
    return tuple((name.lower(), value) for name, value in headers.items()) or None


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
