"""The client: one class for both transports, chosen by the target."""

from __future__ import annotations

import ssl
import time
from collections.abc import Sequence
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any

from modelport.errors import DeadlineExceeded, FailedPrecondition, InvalidArgument, NotFound, Unavailable
from modelport.wire import messages
from modelport_client.deadline import Deadline
from modelport_client.results import Metadata, Prediction, VersionState, states_of
from modelport_client.retrying import Retries
from modelport_client.signatures import Signatures
from modelport_client.transport import Predictor, Transport

if TYPE_CHECKING:
    import grpc

    from modelport.serverconfig import ServerConfig

DEFAULT_TIMEOUT_S = 10.0
_POLL_S = 0.1


class Client:
    """A client of one server. Thread-safe; close it, or use it in a `with` statement.

    Args:
        target: `host:port`, `unix:/path` or another gRPC name for gRPC; `http://…` or `https://…` for REST.
            `dns:///name:port` spreads the calls over all addresses of the name, and over those left when one is lost.
        timeout: seconds that a call may take unless it says otherwise.
        retry: ask again, until the call's timeout and ever more slowly, when a server that has answered before does not
            answer now, or with UNAVAILABLE. A prediction changes nothing, so it may be asked for twice. False: once.
        credentials: gRPC channel credentials for TLS.
        ssl_context: for `https://` targets; None for the system's trust.

    The variables `http_proxy`, `https_proxy` and `no_proxy` are heeded, in both letter cases; for gRPC `grpc_proxy` and
    `no_grpc_proxy` come first. As with curl, loopback addresses go through the proxy unless `no_proxy` names them.
    """

    def __init__(
        self,
        target: str,
        *,
        timeout: float = DEFAULT_TIMEOUT_S,
        retry: bool = True,
        credentials: grpc.ChannelCredentials | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        if not isinstance(target, str) or not target:
            raise InvalidArgument(f"Expected a target such as 'localhost:8500' or 'http://localhost:8501': {target!r}")
        self.target = target
        self.timeout = _positive(timeout)
        self._retries = Retries(retry)
        self._transport, self._signatures, self._predictor = _connected(target, credentials, ssl_context, self._retries)

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; calls under way fail with Unavailable."""
        self._retries.close()
        self._transport.close()

    def predict(
        self,
        model: str,
        inputs: Any,
        *,
        version: int | None = None,
        label: str | None = None,
        signature: str | None = None,
        outputs: Sequence[str] = (),
        timeout: float | None = None,
    ) -> Prediction:
        """Ask for a prediction.

        Args:
            model: its name.
            inputs: input name -> value, or the value alone where the signature has one input. Values are numpy arrays
                or lists and numbers, which are cast to the signature's dtype where no value is lost (floats are
                rounded to narrower floats, integers must come through exactly, floats are no integers); str or bytes,
                or a `pathlib.Path` whose content is sent. The first dimension is the batch. Over REST, inputs without
                rows are asked for with one row of zeros, which is taken out of the answer: JSON cannot write them.
            version: by default the newest that is available.
            label: a version label, instead of a version.
            signature: by default `serving_default`; for files and bytes `serve_image_bytes` where the model has it.
            outputs: the outputs wanted; by default all.
            timeout: seconds for all of it, encoding included; by default the client's.

        Returns:
            Output name -> array, with the version that answered.

        Raises:
            InvalidArgument: an input does not fit; the text has the server's words, the expected signature, and the
                nearest name, or both dtypes of values that would be lost.
            NotFound: no such model or version is available.
            FailedPrecondition: no such signature.
            DeadlineExceeded, Unavailable: no answer in time, or nobody there.
        """
        spec = _spec(model, version, label, signature)
        return self._predictor.predict(spec, inputs, list(outputs), self._deadline(timeout))

    def metadata(
        self, model: str, *, version: int | None = None, label: str | None = None, timeout: float | None = None
    ) -> Metadata:
        """The signatures of a version, by default of the newest that is available."""
        spec = _spec(model, version, label, "")
        deadline = self._deadline(timeout)
        try:
            return self._retries.call(partial(self._signatures.ask, spec, deadline), deadline)
        except NotFound as error:
            raise self._signatures.hinted(error, spec, {}, [], deadline) from error

    def status(self, model: str, *, version: int | None = None, timeout: float | None = None) -> list[VersionState]:
        """The states of all versions that the server knows of, highest first, or of one.

        Raises:
            NotFound: the server never had the model or version.
        """
        deadline = self._deadline(timeout)
        ask = partial(self._transport.status, _spec(model, version, None, ""), deadline)
        return states_of(self._retries.call(ask, deadline))

    def base_path(self, model: str, *, timeout: float | None = None) -> str | None:
        """Where a server on this machine has a model's versions; None where it does not say: over REST, a server
        elsewhere, or tensorflow_model_server.

        Raises:
            NotFound: the server never had the model.
        """
        deadline = self._deadline(timeout)
        ask = partial(self._transport.base_path, _spec(model, None, None, ""), deadline)
        return self._retries.call(ask, deadline)

    def reload(self, config: ServerConfig, *, timeout: float | None = None) -> None:
        """Give the server a new list of models, in the place of the one that it has; gRPC only.

        Returns when each model that the server did not have yet has a version that is available or given up. What
        changes for the others comes when the server next looks at their folders: `wait_until_available` waits for it.

        Raises:
            InvalidArgument, FailedPrecondition: the server refuses the configuration; it keeps the old one.
            Unimplemented: over REST, which has no such call.
        """
        from google.protobuf import text_format  # of no use to a client that only predicts

        from modelport.serverconfig import format_models

        request = messages.ReloadConfigRequest()
        text_format.Parse(format_models(config), request.config, descriptor_pool=messages.POOL)
        deadline = self._deadline(timeout)
        self._retries.call(partial(self._transport.reload, request, deadline), deadline)

    def wait_until_available(self, model: str, version: int | None = None, timeout: float = 60.0) -> int:
        """Wait until a version answers; a server that is not up yet is waited for too.

        Args:
            model: its name.
            version: the version to wait for; None for any.
            timeout: seconds.

        Returns:
            The version that is available.

        Raises:
            FailedPrecondition: the server gave the version up; its reason is in the text.
            DeadlineExceeded: it is not available in time; the text says what was last seen.
        """
        deadline = time.monotonic() + _positive(timeout)
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                break
            try:
                states = self.status(model, version=version, timeout=min(left, 5.0))
            except (Unavailable, NotFound, DeadlineExceeded) as error:
                seen = error.message
            else:
                available = [state.version for state in states if state.state == "AVAILABLE"]
                if available:
                    return max(available)
                _raise_if_given_up(model, states)
                seen = ", ".join(f"version {state.version} is {state.state}" for state in states)
            time.sleep(min(_POLL_S, max(0.0, deadline - time.monotonic())))
        which = f"version {version} of model {model!r}" if version is not None else f"a version of model {model!r}"
        raise DeadlineExceeded(f"Expected {which} to be available at {self.target} within {timeout:g} s; last: {seen}")

    def _deadline(self, timeout: float | None) -> Deadline:
        return Deadline(self.timeout if timeout is None else _positive(timeout), self.target)


def _connected(
    target: str, credentials: grpc.ChannelCredentials | None, ssl_context: ssl.SSLContext | None, retries: Retries
) -> tuple[Transport, Signatures, Predictor]:
    """The transport that a target names, and what works over it; each is imported only when it is used."""
    if target.startswith(("http://", "https://")):
        from modelport_client.rest_predictor import RestPredictor
        from modelport_client.rest_transport import RestTransport

        rest = RestTransport(target, ssl_context)
        signatures = Signatures(rest, lambda: rest.opened)
        return rest, signatures, RestPredictor(rest, signatures, retries)
    from modelport_client.grpc_predictor import GrpcPredictor
    from modelport_client.grpc_transport import GrpcTransport

    transport = GrpcTransport(target, credentials)
    signatures = Signatures(transport)
    return transport, signatures, GrpcPredictor(transport, signatures, retries)


def _spec(model: str, version: int | None, label: str | None, signature: str | None) -> messages.ModelSpec:
    if not isinstance(model, str) or not model:
        raise InvalidArgument(f"Expected the name of a model. Received: {model!r}")
    if version is not None and label is not None:
        raise InvalidArgument(f"Expected a version or a label, not both. Received: {version} and {label!r}")
    spec = messages.ModelSpec(name=model, signature_name=signature or "")
    if version is not None:
        spec.version.value = version
    if label is not None:
        spec.version_label = label
    return spec


def _positive(timeout: float) -> float:
    if not timeout > 0:
        raise InvalidArgument(f"Expected a timeout of more than 0 seconds. Received: {timeout!r}")
    return timeout


def _raise_if_given_up(model: str, states: list[VersionState]) -> None:
    if states and all(state.state == "END" and state.code for state in states):
        first = states[0]
        raise FailedPrecondition(
            f"The server gave up version {first.version} of model {model!r}: {first.code.name}: {first.message}"
        )
