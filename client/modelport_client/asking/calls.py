"""All that a client can do, as steps: `Client` and `AsyncClient` carry them out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from modelport.errors import (
    DeadlineExceeded,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    ResourceExhausted,
    Unavailable,
)
from modelport.wire import messages
from modelport_client.asking import big_requests
from modelport_client.asking.big_requests import Limits
from modelport_client.asking.replicas import Replicas
from modelport_client.asking.retrying import Retries
from modelport_client.asking.signatures import Signatures
from modelport_client.asking.steps import Ask, Pause, Steps, T, on_replica
from modelport_client.inputs import examples as tf_examples
from modelport_client.inputs.arrays import signature_for, to_arrays
from modelport_client.prediction import Array, Prediction
from modelport_client.results import Classified, Metadata, Regressed, VersionState
from modelport_client.transports.deadline import Deadline

if TYPE_CHECKING:
    from modelport.serverconfig import ServerConfig

_POLL_S = 0.1
_LONGEST_LOOK_S = 5.0  # a server that hangs while one waits for a version is asked anew
_METHODS = {"classify": "tensorflow/serving/classify", "regress": "tensorflow/serving/regress"}


class Predictor(Protocol):
    """Predictions over one of the transports."""

    def predict(
        self, spec: messages.ModelSpec, inputs: Any, outputs: Sequence[str], deadline: Deadline
    ) -> Steps[Prediction]:
        """See `Client.predict`. Signatures that turn out to be of another version are asked for anew."""


class Calls:
    """The calls of one client.

    Args:
        target: who is asked, for errors.
        is_rest: over REST; otherwise over gRPC.
        retry: ask again while nobody answers.
        replicas: those that may be asked.
        opened: how many connections were opened so far.
    """

    def __init__(
        self, target: str, *, is_rest: bool, retry: bool, replicas: Replicas, opened: Callable[[], int]
    ) -> None:
        self._target = target
        self._replicas = replicas
        self._retries = Retries(retry, replicas)
        self._signatures = Signatures(opened if is_rest else lambda: 0)
        self._predictor = _predictor(is_rest, self._signatures, self._retries)

    def predict(
        self, spec: messages.ModelSpec, inputs: Any, outputs: Sequence[str], limits: Limits, deadline: Deadline
    ) -> Steps[Prediction]:
        """See `Client.predict`."""
        if limits.are_given:
            return (yield from self._in_parts(spec, inputs, outputs, limits, deadline))
        try:
            return (yield from self._predictor.predict(spec, inputs, outputs, deadline))
        except ResourceExhausted as error:
            raise ResourceExhausted(
                f"{error.message}\nWhere the request is too large, and the model answers each row by itself: "
                "batch_rows='auto' cuts it."
            ) from error

    def _in_parts(
        self, spec: messages.ModelSpec, inputs: Any, outputs: Sequence[str], limits: Limits, deadline: Deadline
    ) -> Steps[Prediction]:
        metadata = self._signatures.known(spec) or (yield from self._metadata(spec, deadline))
        name, signature = signature_for(inputs, spec.signature_name, metadata)
        arrays = to_arrays(inputs, signature)

        def ask(part: Mapping[str, Array], version: int | None) -> Steps[Prediction]:
            of_part = _with_signature(spec, name)
            if version is not None:
                of_part.version.value = version
            try:
                return (yield from self._predictor.predict(of_part, part, outputs, deadline))
            except NotFound as error:
                gone = error
            if version is not None and len(self._replicas) > 1:  # while they are updated one by one, some have it
                for replica in range(len(self._replicas)):
                    try:
                        steps = self._predictor.predict(of_part, part, outputs, deadline)
                        return (yield from on_replica(steps, replica))
                    except NotFound:
                        continue
            raise gone

        wanted = spec.version.value if spec.HasField("version") else None
        return (yield from big_requests.predict(arrays, limits, ask, wanted))

    def classify(
        self, spec: messages.ModelSpec, examples: Any, context: Mapping[str, Any] | None, deadline: Deadline
    ) -> Steps[Classified]:
        """See `Client.classify`."""
        return (yield from self._of_examples("classify", spec, examples, context, deadline))

    def regress(
        self, spec: messages.ModelSpec, examples: Any, context: Mapping[str, Any] | None, deadline: Deadline
    ) -> Steps[Regressed]:
        """See `Client.regress`."""
        return (yield from self._of_examples("regress", spec, examples, context, deadline))

    def multi_inference(
        self,
        spec: messages.ModelSpec,
        examples: Any,
        tasks: Mapping[str, str],
        context: Mapping[str, Any] | None,
        deadline: Deadline,
    ) -> Steps[dict[str, Classified | Regressed]]:
        """See `Client.multi_inference`."""
        unknown = {name: kind for name, kind in tasks.items() if kind not in _METHODS}
        if unknown or not tasks:
            raise InvalidArgument(
                "Expected signatures with what is asked of each, such as {'classify_x_to_y': 'classify', "
                f"'regress_x_to_y': 'regress'}}. Received: {unknown or tasks}"
            )
        wanted = [
            messages.InferenceTask(model_spec=_with_signature(spec, name), method_name=_METHODS[kind])
            for name, kind in tasks.items()
        ]
        given = tf_examples.to_input(examples, context)
        return (yield from self._asked("multi_inference", (wanted, given), spec, deadline))

    def metadata(self, spec: messages.ModelSpec, deadline: Deadline) -> Steps[Metadata]:
        """See `Client.metadata`."""
        return (yield from self._metadata(spec, deadline))

    def status(self, spec: messages.ModelSpec, deadline: Deadline) -> Steps[list[VersionState]]:
        """See `Client.status`."""
        return (yield from self._retried(Ask("status", (spec,), deadline)))

    def base_path(self, spec: messages.ModelSpec, deadline: Deadline) -> Steps[str | None]:
        """See `Client.base_path`."""
        return (yield from self._retried(Ask("base_path", (spec,), deadline)))

    def reload(self, config: ServerConfig, deadline: Deadline) -> Steps[None]:
        """See `Client.reload`."""
        from google.protobuf import text_format  # of no use to a client that only predicts

        from modelport.serverconfig import format_models

        request = messages.ReloadConfigRequest()
        text_format.Parse(format_models(config), request.config, descriptor_pool=messages.POOL)
        return (yield from self._retried(Ask("reload", (request,), deadline)))

    def wait_until_available(self, model: str, version: int | None, timeout: float) -> Steps[int]:
        """See `Client.wait_until_available`."""
        whole = Deadline(timeout, self._target)
        spec = spec_of(model, version, None, None)
        seen = "nothing"
        while whole.left > 0:
            try:
                states = yield from self.status(spec, Deadline(min(whole.left, _LONGEST_LOOK_S), self._target))
            except (Unavailable, NotFound, DeadlineExceeded) as error:
                seen = error.message
            else:
                available = [state.version for state in states if state.state == "AVAILABLE"]
                if available:
                    return max(available)
                _raise_if_given_up(model, states)
                seen = ", ".join(f"version {state.version} is {state.state}" for state in states)
            if (yield Pause(min(_POLL_S, max(0.0, whole.left)))):
                raise Unavailable(f"The client of {self._target} was closed while it waited for {model!r}.")
        which = f"version {version} of model {model!r}" if version is not None else f"a version of model {model!r}"
        raise DeadlineExceeded(f"Expected {which} to be available at {self._target} within {timeout:g} s; last: {seen}")

    def _metadata(self, spec: messages.ModelSpec, deadline: Deadline) -> Steps[Metadata]:
        try:
            return (yield from self._retries.call(partial(self._signatures.ask, spec, deadline), deadline))
        except NotFound as error:
            raise (yield from self._signatures.hinted(error, spec, {}, [], deadline)) from error

    def _of_examples(
        self,
        method: str,
        spec: messages.ModelSpec,
        examples: Any,
        context: Mapping[str, Any] | None,
        deadline: Deadline,
    ) -> Steps[Any]:
        return (yield from self._asked(method, (spec, tf_examples.to_input(examples, context)), spec, deadline))

    def _asked(
        self, method: str, arguments: tuple[Any, ...], spec: messages.ModelSpec, deadline: Deadline
    ) -> Steps[Any]:
        try:
            return (yield from self._retried(Ask(method, arguments, deadline)))
        except NotFound as error:
            raise (yield from self._signatures.hinted(error, spec, {}, [], deadline)) from error

    def _retried(self, ask: Ask) -> Steps[Any]:
        def attempt() -> Steps[T]:
            return (yield ask)

        return (yield from self._retries.call(attempt, ask.deadline))


def _predictor(is_rest: bool, signatures: Signatures, retries: Retries) -> Predictor:
    """Each is imported only where it is used."""
    if is_rest:
        from modelport_client.asking.rest_predictor import RestPredictor

        return RestPredictor(signatures, retries)
    from modelport_client.asking.grpc_predictor import GrpcPredictor

    return GrpcPredictor(signatures, retries)


def spec_of(model: str, version: int | None, label: str | None, signature: str | None) -> messages.ModelSpec:
    """Who is meant.

    Raises:
        InvalidArgument: no name, or a version and a label.
    """
    if not isinstance(model, str) or not model:
        raise InvalidArgument(f"Expected the name of a model. Received: {model!r}")
    if version is not None and (isinstance(version, bool) or not isinstance(version, int) or not 0 <= version < 2**63):
        raise InvalidArgument(f"Expected the number of a version. Received: {version!r}")
    if label is not None and not isinstance(label, str):
        raise InvalidArgument(f"Expected a label as text. Received: {label!r}")
    if version is not None and label is not None:
        raise InvalidArgument(f"Expected a version or a label, not both. Received: {version} and {label!r}")
    spec = messages.ModelSpec(name=model, signature_name=signature or "")
    if version is not None:
        spec.version.value = version
    if label is not None:
        spec.version_label = label
    return spec


def _with_signature(spec: messages.ModelSpec, name: str) -> messages.ModelSpec:
    named = messages.ModelSpec()
    named.CopyFrom(spec)
    named.signature_name = name
    return named


def _raise_if_given_up(model: str, states: list[VersionState]) -> None:
    if states and all(state.state == "END" and state.code for state in states):
        first = states[0]
        raise FailedPrecondition(
            f"The server gave up version {first.version} of model {model!r}: {first.code.name}: {first.message}"
        )
