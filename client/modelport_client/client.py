"""The client: one class for both transports, chosen by the target."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from modelport.errors import InvalidArgument
from modelport_client.asking.big_requests import Limits
from modelport_client.asking.calls import Calls, spec_of
from modelport_client.asking.replicas import Replicas
from modelport_client.asking.steps import Steps, T
from modelport_client.driving import tracing
from modelport_client.driving.connecting import connected
from modelport_client.driving.threads import in_order
from modelport_client.driving.waiting import Driver
from modelport_client.prediction import Prediction
from modelport_client.results import Classified, Metadata, Regressed, VersionState
from modelport_client.servers.connection import resolve
from modelport_client.transports.deadline import Deadline
from modelport_client.transports.headers import checked_headers

if TYPE_CHECKING:
    import ssl

    import grpc

    from modelport.serverconfig import ServerConfig

DEFAULT_TIMEOUT_S = 10.0
_LONGEST_S = 10_000_000  # four months; sockets and gRPC take no endless ones


class Client:
    """A client of one service. Thread-safe; close it, or use it in a `with` statement.

    Args:
        target: `host:port`, `unix:/path` or another gRPC name for gRPC; `http://…` or `https://…` for REST; several of
            them, as a list or with commas between; or the name of a server in `~/.config/modelport.toml`. By default
            what `MODELPORT_SERVER` says, or `localhost:8500`; see `modelport_client.servers.connection`.
            `dns:///name:port` spreads the calls over all addresses of the name, and over those left when one is lost;
            so do several addresses. A replica whose health service says NOT_SERVING is left out.
        timeout: seconds that a call may take unless it says otherwise; by default 10.
        retry: ask again, until the call's timeout and ever more slowly, when a server that has answered before does not
            answer now, or with UNAVAILABLE. A prediction changes nothing, so it may be asked for twice. False: once.
        ca: a file with the certificates that are trusted (PEM), for TLS.
        cert: a file with this client's certificate, for mutual TLS; `key` has its key.
        key: see `cert`.
        headers: sent with each call, as gRPC metadata or HTTP headers: keys of gateways, identities of requests.
        hedge_after: seconds after which a prediction without an answer is asked for once more, of the next replica
            where there are several; the first answer counts. It takes the tail from latencies, and costs as many
            requests more as take longer than that. None: never.
        credentials: gRPC channel credentials, instead of files.
        ssl_context: for `https://` targets, instead of files.

    The variables `http_proxy`, `https_proxy` and `no_proxy` are heeded, in both letter cases; for gRPC `grpc_proxy` and
    `no_grpc_proxy` come first. As with curl, loopback addresses go through the proxy unless `no_proxy` names them.
    Where OpenTelemetry's API package is installed, each call is a span, whose context goes along in the headers.
    """

    def __init__(
        self,
        target: str | Sequence[str] | None = None,
        *,
        timeout: float | None = None,
        retry: bool = True,
        ca: str | os.PathLike[str] | None = None,
        cert: str | os.PathLike[str] | None = None,
        key: str | os.PathLike[str] | None = None,
        headers: Mapping[str, str] | None = None,
        hedge_after: float | None = None,
        credentials: grpc.ChannelCredentials | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        connection = resolve(target, ca=ca, cert=cert, key=key, headers=headers)
        self.target = connection.target
        self.timeout = positive(next(s for s in (timeout, connection.timeout, DEFAULT_TIMEOUT_S) if s is not None))
        self._headers = checked_headers(connection.headers)
        transports = connected(connection, credentials, ssl_context)
        replicas = Replicas(len(transports))
        self._driver = Driver(transports, replicas, None if hedge_after is None else positive(hedge_after))
        self._calls = Calls(
            self.target,
            is_rest=connection.is_rest,
            retry=retry,
            replicas=replicas,
            opened=lambda: sum(transport.opened for transport in transports),
        )

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; calls under way fail with Unavailable."""
        self._driver.close()

    def predict(
        self,
        model: str,
        inputs: Any,
        *,
        version: int | None = None,
        label: str | None = None,
        signature: str | None = None,
        outputs: Sequence[str] = (),
        batch_rows: int | Literal["auto"] | None = None,
        batch_bytes: int | None = None,
        timeout: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Prediction:
        """Ask for a prediction.

        Args:
            model: its name.
            inputs: input name -> value, or the value alone where the signature has one input. Values are numpy arrays
                or lists and numbers, which are cast to the signature's dtype where no value is lost (floats are
                rounded to narrower floats, integers must come through exactly, floats are no integers); str or bytes;
                a `pathlib.Path` whose content is sent, or of a folder of images; images of PIL. Or a table: a data
                frame of pandas, Polars or Arrow, a dict of columns, or a list of row dicts. Its columns meet the inputs
                by name, and (N,) fits (N, 1); a frame for a single input of rank 2 is its rows, where no column has the
                input's name. The first dimension is the batch. Over REST, inputs without rows are asked for with one
                row of zeros, which is taken out of the answer: JSON cannot write them.
            version: by default the newest that is available.
            label: a version label, instead of a version.
            signature: by default `serving_default`; for files, bytes and images `serve_image_bytes` where the model has
                it.
            outputs: the outputs wanted; by default all.
            batch_rows: cut the inputs into requests of so many rows, four of them under way; one version answers all.
                "auto": only where they are more than 1 GiB, or the server or a proxy finds them too large. For models
                that answer each row by itself, with a row in each output: who cuts says that it is one.
            batch_bytes: or into requests of so many bytes.
            timeout: seconds for all of it, encoding included; by default the client's.
            headers: for this call, beside the client's.

        Returns:
            Output name -> array, with the version that answered.

        Raises:
            InvalidArgument: an input does not fit; the text has the server's words, the expected signature, and the
                nearest name, or both dtypes of values that would be lost.
            NotFound: no such model or version is available.
            FailedPrecondition: no such signature, or answers that cannot be put together.
            ResourceExhausted: the server or a proxy does not take so much.
            DeadlineExceeded, Unavailable: no answer in time, or nobody there.
        """
        spec = spec_of(model, version, label, signature)
        limits = Limits(batch_rows, batch_bytes)
        steps = self._calls.predict(spec, inputs, list(outputs), limits, self._deadline(timeout))
        return self._run("predict", model, steps, headers)

    def predict_batches(
        self,
        model: str,
        batches: Iterable[Any],
        *,
        version: int | None = None,
        label: str | None = None,
        signature: str | None = None,
        outputs: Sequence[str] = (),
        timeout: float | None = None,
        under_way: int = 4,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[Prediction]:
        """Ask for a prediction for each batch of an iterable, with several under way, in order.

        No more batches than are under way are held, so there may be any number of them.

        Args:
            model: see `predict`; so `version`, `label`, `signature`, `outputs` and `headers`.
            batches: the inputs of each, as `predict` takes them. They are asked for in the caller's thread.
            version: see `predict`.
            label: see `predict`.
            signature: see `predict`.
            outputs: see `predict`.
            timeout: seconds for each batch; by default the client's.
            under_way: batches.
            headers: see `predict`.

        Raises:
            What `predict` raises, for the first batch that it does for; later ones are given up. What `batches` raises,
            after the answers to what it gave before.
        """
        if under_way < 1:
            raise InvalidArgument(f"Expected 1 batch under way at least. Received: {under_way}")

        def ask(inputs: Any) -> Prediction:
            return self.predict(
                model,
                inputs,
                version=version,
                label=label,
                signature=signature,
                outputs=outputs,
                timeout=timeout,
                headers=headers,
            )

        return in_order((partial(ask, inputs) for inputs in batches), under_way)

    def classify(
        self,
        model: str,
        examples: Any,
        *,
        version: int | None = None,
        label: str | None = None,
        signature: str | None = None,
        context: Mapping[str, Any] | None = None,
        timeout: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Classified:
        """Classify tf.Examples, for models whose signature takes them.

        Args:
            model: see `predict`; so `version`, `label`, `signature`, `timeout` and `headers`.
            examples: a data frame, a dict of columns, a list of row dicts, or one dict of values; see
                `modelport_client.inputs.examples.to_input`.
            version: see `predict`.
            label: see `predict`.
            signature: see `predict`.
            context: features that all examples share.
            timeout: see `predict`.
            headers: see `predict`.

        Raises:
            InvalidArgument: features that no tf.Example can have, or not those that the model parses.
        """
        spec = spec_of(model, version, label, signature)
        return self._run(
            "classify", model, self._calls.classify(spec, examples, context, self._deadline(timeout)), headers
        )

    def regress(
        self,
        model: str,
        examples: Any,
        *,
        version: int | None = None,
        label: str | None = None,
        signature: str | None = None,
        context: Mapping[str, Any] | None = None,
        timeout: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Regressed:
        """A number of each tf.Example; see `classify`."""
        spec = spec_of(model, version, label, signature)
        return self._run(
            "regress", model, self._calls.regress(spec, examples, context, self._deadline(timeout)), headers
        )

    def multi_inference(
        self,
        model: str,
        examples: Any,
        tasks: Mapping[str, str],
        *,
        version: int | None = None,
        label: str | None = None,
        context: Mapping[str, Any] | None = None,
        timeout: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Classified | Regressed]:
        """Several signatures of a model on the same tf.Examples; gRPC only.

        Args:
            model: see `predict`; so `version`, `label`, `timeout` and `headers`.
            examples: see `classify`; so `context`.
            tasks: signature -> `classify` or `regress`.
            version: see `predict`.
            label: see `predict`.
            context: see `classify`.
            timeout: see `predict`.
            headers: see `predict`.

        Returns:
            Signature -> its answer.

        Raises:
            Unimplemented: over REST, which has no such call.
        """
        spec = spec_of(model, version, label, None)
        steps = self._calls.multi_inference(spec, examples, tasks, context, self._deadline(timeout))
        return self._run("multi_inference", model, steps, headers)

    def metadata(
        self,
        model: str,
        *,
        version: int | None = None,
        label: str | None = None,
        timeout: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Metadata:
        """The signatures of a version, by default of the newest that is available.

        Raises:
            NotFound: no such model or version is available.
        """
        spec = spec_of(model, version, label, None)
        return self._run("metadata", model, self._calls.metadata(spec, self._deadline(timeout)), headers)

    def status(
        self,
        model: str,
        *,
        version: int | None = None,
        timeout: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> list[VersionState]:
        """The states of all versions that the server knows of, highest first, or of one.

        Raises:
            NotFound: the server never had the model or version.
        """
        spec = spec_of(model, version, None, None)
        return self._run("status", model, self._calls.status(spec, self._deadline(timeout)), headers)

    def base_path(self, model: str, *, timeout: float | None = None) -> str | None:
        """Where a server on this machine has a model's versions; None where it does not say: over REST, a server
        elsewhere, or tensorflow_model_server.

        Raises:
            NotFound: the server never had the model.
        """
        spec = spec_of(model, None, None, None)
        return self._run("base_path", model, self._calls.base_path(spec, self._deadline(timeout)))

    def reload(self, config: ServerConfig, *, timeout: float | None = None) -> None:
        """Give the server a new list of models, in the place of the one that it has; gRPC only.

        Returns when each model that the server did not have yet has a version that is available or given up. What
        changes for the others comes when the server next looks at their folders: `wait_until_available` waits for it.

        Raises:
            InvalidArgument, FailedPrecondition: the server refuses the configuration; it keeps the old one.
            Unimplemented: over REST, which has no such call.
        """
        self._run("reload", "", self._calls.reload(config, self._deadline(timeout)))

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
        steps = self._calls.wait_until_available(model, version, positive(timeout))
        return self._run("wait_until_available", model, steps)

    def _run(self, method: str, model: str, steps: Steps[T], headers: Mapping[str, str] | None = None) -> T:
        told = self._headers if headers is None else {**self._headers, **checked_headers(headers)}
        with tracing.span(method, model, self.target, told) as sent:
            return self._driver.run(steps, sent)

    def _deadline(self, timeout: float | None) -> Deadline:
        return Deadline(self.timeout if timeout is None else positive(timeout), self.target)


def positive(seconds: float) -> float:
    """Seconds that can be waited.

    Raises:
        InvalidArgument: none, or what is no number.
    """
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds > 0:
        raise InvalidArgument(f"Expected a timeout of more than 0 seconds. Received: {seconds!r}")
    if seconds > _LONGEST_S or math.isnan(seconds):
        raise InvalidArgument(f"Expected a timeout of {_LONGEST_S:,} seconds at most. Received: {seconds!r}")
    return seconds
