"""Predictions over REST: an answer is read with the signature of the version that gave it, or not at all.

An answer in JSON carries no dtypes and no version, and the only output of a signature comes without its name: nothing
in it shows that another version than expected gave it. So the version has to be certain, and the signature that
version's.

- The embedded server says in a header of each answer which version gave it. Then a call is one request. When the
  version is a new one its metadata are asked for; and when its inputs differ from those that the request was written
  for, the call is made again.
- `tensorflow/serving` does not. Then each call without a version asks for the metadata first, which name the version
  that is the newest now, and for the prediction of that version by number. It costs a second round trip; a call that
  names its version saves it. Asking for the newest and looking afterwards costs as much and proves less: behind a
  balancer the two answers may come from two servers.
- A version that is gone in between (404) makes the round begin anew, until the deadline.

Metadata of a version hold for the connections that were open when they were read: behind a new connection may be a
server that was started anew with other files under the same number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from modelport.errors import FailedPrecondition, InvalidArgument, NotFound, Unavailable, Unknown
from modelport.wire import messages
from modelport_client.asking import error_hints
from modelport_client.asking.retrying import Retries
from modelport_client.asking.signatures import Signatures
from modelport_client.asking.steps import Ask, Steps
from modelport_client.inputs.arrays import signature_for, to_arrays
from modelport_client.results import Array, Metadata, Prediction
from modelport_client.transports import json_arrays
from modelport_client.transports.deadline import Deadline
from modelport_client.transports.rest_protocol import RestAnswer, ServableNotFound

# Rounds without a pause. One is lost by a swap under the call; where a balancer goes round servers of several versions
# the next ones meet the right one sooner or later. After these the call pauses as for a server that is away.
_ROUNDS = 4


class RestPredictor:
    """See the module for what is certain about an answer."""

    def __init__(self, signatures: Signatures, retries: Retries) -> None:
        self._signatures = signatures
        self._retries = retries
        self._names_versions = False  # what the last answer did

    def predict(
        self, spec: messages.ModelSpec, inputs: Any, outputs: Sequence[str], deadline: Deadline
    ) -> Steps[Prediction]:
        """See `Client.predict`. All outputs are computed; `outputs` picks from the answer."""
        try:
            return (yield from self._retries.call(lambda: self._rounds(spec, inputs, outputs, deadline), deadline))
        except (InvalidArgument, FailedPrecondition, NotFound) as error:
            raise (yield from self._signatures.hinted(error, spec, inputs, outputs, deadline)) from error

    def _rounds(
        self, spec: messages.ModelSpec, inputs: Any, outputs: Sequence[str], deadline: Deadline
    ) -> Steps[Prediction]:
        metadata = self._signatures.known(spec)
        is_new = metadata is None or not (self._names_versions or spec.HasField("version"))
        if metadata is None or is_new:
            metadata = yield from self._retries.call(lambda: self._signatures.ask(spec, deadline), deadline)
        for _ in range(_ROUNDS):
            try:
                found = yield from self._round(spec, inputs, outputs, metadata, deadline)
            except (InvalidArgument, FailedPrecondition, json_arrays.Mismatch) as error:
                newer = metadata if is_new else (yield from self._signatures.ask(spec, deadline))
                if newer == metadata and isinstance(error, json_arrays.Mismatch):
                    raise Unknown(f"The answer of model {spec.name!r} is not of its signature. {error}") from error
                if newer == metadata:
                    raise
                metadata, is_new = newer, True
                continue
            if isinstance(found, Prediction):
                return found
            metadata = found
        raise Unavailable(f"The versions of model {spec.name!r} change while it is asked.")

    def _round(
        self,
        spec: messages.ModelSpec,
        inputs: Any,
        outputs: Sequence[str],
        metadata: Metadata,
        deadline: Deadline,
    ) -> Steps[Prediction | Metadata]:
        """The answer, or the metadata by which to ask again.

        Raises:
            Mismatch: the answer is not of the signature that its version is known to have.
        """
        name, signature = signature_for(inputs, spec.signature_name, metadata)
        arrays = to_arrays(inputs, signature)
        if arrays.keys() - signature.inputs.keys():  # over REST a server passes over them, and answers without
            raise InvalidArgument(error_hints.of_inputs(arrays, name, signature))
        with_row = json_arrays.filled(arrays)
        request = messages.ModelSpec(name=spec.name, signature_name=name)
        is_pinned = spec.HasField("version") or not self._names_versions
        if is_pinned:
            request.version.value = metadata.version
        elif spec.version_label:
            request.version_label = spec.version_label
        try:
            answer = yield from self._send(request, with_row or arrays, deadline)
            version = answer.version if answer.version is not None or not is_pinned else metadata.version
            if not spec.HasField("version"):
                self._names_versions = answer.version is not None
            if version is None:
                return (yield from self._signatures.ask(spec, deadline))
            answering = yield from self._signatures.of_version(spec.name, version, deadline)
        except ServableNotFound:
            if spec.HasField("version"):
                raise
            return (yield from self._signatures.ask(spec, deadline))
        if answering != metadata:
            if not spec.HasField("version"):
                self._signatures.learn(spec, answering)
            name_now, signature_now = signature_for(inputs, spec.signature_name, answering)
            if (name_now, signature_now.inputs) != (name, signature.inputs):
                return answering
            signature = signature_now
        if wrong := error_hints.of_outputs(outputs, signature):
            raise InvalidArgument(wrong)
        deadline.check()
        found = json_arrays.read_outputs(answer.outputs, signature)
        if with_row is not None:
            found = json_arrays.without_rows(found, signature)
        return Prediction({alias: found[alias] for alias in outputs or found}, spec.name, version, name)

    def _send(self, request: messages.ModelSpec, arrays: Mapping[str, Array], deadline: Deadline) -> Steps[RestAnswer]:
        """Twice when a version by number is not there: of two servers that take turns only one may have it."""
        try:
            return (yield Ask("predict", (request, arrays), deadline))
        except ServableNotFound:
            if not request.HasField("version"):
                raise
            return (yield Ask("predict", (request, arrays), deadline))
