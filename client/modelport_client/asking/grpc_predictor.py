"""Predictions over gRPC: the answer tells its dtypes, names and version, the request must have the model's dtypes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from modelport.errors import FailedPrecondition, InvalidArgument, ModelportError, NotFound
from modelport.wire import messages
from modelport_client.asking.retrying import Retries
from modelport_client.asking.signatures import Signatures
from modelport_client.asking.steps import Ask, Steps
from modelport_client.inputs.arrays import needs_signature, signature_for, to_arrays
from modelport_client.results import Array, Metadata, Prediction
from modelport_client.transports.deadline import Deadline


class GrpcPredictor:
    """Casts inputs to the dtypes of the signature, and finds out in time when these are another version's.

    The server takes a tensor only with the dtype that the signature has, so a request that was written for another
    version is refused and never answered wrongly. After a refusal the signature is asked for anew; when the inputs come
    out otherwise by it they are sent once more. Arrays of a dtype that somebody chose (float32, uint8) are sent without
    looking anything up, so the usual call is one request from the first on.
    """

    def __init__(self, signatures: Signatures, retries: Retries) -> None:
        self._signatures = signatures
        self._retries = retries

    def predict(
        self, spec: messages.ModelSpec, inputs: Any, outputs: Sequence[str], deadline: Deadline
    ) -> Steps[Prediction]:
        """See `Client.predict`."""
        metadata = self._signatures.known(spec)
        is_new = metadata is None and needs_signature(inputs)
        if is_new:
            metadata = yield from self._ask_metadata(spec, deadline)
        request, arrays = spec, None
        try:
            request, arrays = _written(spec, inputs, metadata)
            return (yield from self._send(request, arrays, outputs, deadline))
        except (InvalidArgument, FailedPrecondition) as error:
            if is_new:
                raise (yield from self._signatures.hinted(error, request, inputs, outputs, deadline)) from error
            refusal = error
        except NotFound as error:
            raise (yield from self._signatures.hinted(error, request, inputs, outputs, deadline)) from error
        try:
            metadata = yield from self._signatures.ask(spec, deadline)
        except ModelportError:
            raise refusal from None
        try:
            again, arrays_again = _written(spec, inputs, metadata)
            if arrays is not None and again == request and _same_kinds(arrays, arrays_again):
                raise refusal
            return (yield from self._send(again, arrays_again, outputs, deadline))
        except (InvalidArgument, FailedPrecondition, NotFound) as error:
            raise (yield from self._signatures.hinted(error, spec, inputs, outputs, deadline)) from error

    def _send(
        self, spec: messages.ModelSpec, arrays: Mapping[str, Array], outputs: Sequence[str], deadline: Deadline
    ) -> Steps[Prediction]:
        def attempt() -> Steps[Prediction]:
            return (yield Ask("predict", (spec, arrays, outputs), deadline))

        return (yield from self._retries.call(attempt, deadline))

    def _ask_metadata(self, spec: messages.ModelSpec, deadline: Deadline) -> Steps[Metadata]:
        try:
            return (yield from self._retries.call(lambda: self._signatures.ask(spec, deadline), deadline))
        except NotFound as error:
            raise (yield from self._signatures.hinted(error, spec, {}, [], deadline)) from error


def _written(
    spec: messages.ModelSpec, inputs: Any, metadata: Metadata | None
) -> tuple[messages.ModelSpec, dict[str, Array]]:
    """The request's signature and arrays; the inputs as they are where nothing is known."""
    if metadata is None:
        return spec, to_arrays(inputs, None)
    name, signature = signature_for(inputs, spec.signature_name, metadata)
    request = messages.ModelSpec()
    request.CopyFrom(spec)
    request.signature_name = name
    return request, to_arrays(inputs, signature)


def _same_kinds(arrays: Mapping[str, Array], others: Mapping[str, Array]) -> bool:
    return {name: (a.dtype, a.shape) for name, a in arrays.items()} == {
        name: (a.dtype, a.shape) for name, a in others.items()
    }
