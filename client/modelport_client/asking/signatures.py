"""What is known of the signatures of the versions of one server."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from modelport.errors import FailedPrecondition, InvalidArgument, ModelportError, NotFound
from modelport.wire import messages
from modelport_client.asking import error_hints
from modelport_client.asking.steps import Ask, Steps
from modelport_client.inputs.arrays import signature_for, to_arrays
from modelport_client.results import Metadata, VersionState
from modelport_client.transports.deadline import Deadline

_Key = tuple[str, int | None, str | None]


class Signatures:
    """Metadata by model and version, label or neither, as they were last seen. Thread-safe.

    They may be out of date at any time: a version changes under a label or under none by a swap, and under its own
    number when a server is started anew on other files. The predictors know what is certain about an answer.

    Args:
        opened: how many connections were opened so far. What was read before the last of them was opened may have come
            from another server.
    """

    def __init__(self, opened: Callable[[], int] = lambda: 0) -> None:
        self._opened = opened
        self._known: dict[_Key, tuple[Metadata, int]] = {}

    def known(self, spec: messages.ModelSpec) -> Metadata | None:
        """What was last seen; None when it was never asked for."""
        found = self._known.get(_key(spec))
        return None if found is None else found[0]

    def ask(self, spec: messages.ModelSpec, deadline: Deadline) -> Steps[Metadata]:
        """What the server says now."""
        metadata: Metadata = yield Ask("metadata", (_without_signature(spec),), deadline)
        self.learn(spec, metadata)
        return metadata

    def of_version(self, model: str, version: int, deadline: Deadline) -> Steps[Metadata]:
        """The metadata of one version, asked for unless they came over the connections that there are now."""
        spec = messages.ModelSpec(name=model)
        spec.version.value = version
        found = self._known.get(_key(spec))
        if found is not None and found[1] == self._opened():
            return found[0]
        return (yield from self.ask(spec, deadline))

    def learn(self, spec: messages.ModelSpec, metadata: Metadata) -> None:
        """Keep what is known of a version, and that it is what the spec stands for."""
        entry = (metadata, self._opened())
        self._known[_key(spec)] = entry
        self._known[(spec.name, metadata.version, None)] = entry

    def hinted(
        self,
        error: ModelportError,
        spec: messages.ModelSpec,
        inputs: Any,
        outputs: Sequence[str],
        deadline: Deadline,
    ) -> Steps[ModelportError]:
        """The server's refusal with what it would have taken; the bare refusal when that cannot be found out."""
        try:
            hint = yield from self._hint(error, spec, inputs, outputs, deadline)
        except ModelportError:
            hint = ""
        return type(error)(f"{error.message}\n{hint}" if hint and hint not in error.message else error.message)

    def _hint(
        self,
        error: ModelportError,
        spec: messages.ModelSpec,
        inputs: Any,
        outputs: Sequence[str],
        deadline: Deadline,
    ) -> Steps[str]:
        if isinstance(error, NotFound):
            states: list[VersionState] = yield Ask("status", (messages.ModelSpec(name=spec.name),), deadline)
            return error_hints.of_versions(spec.name, states)
        metadata = self.known(spec) or (yield from self.ask(spec, deadline))
        try:
            name, signature = signature_for(inputs, spec.signature_name, metadata)
        except FailedPrecondition as error_of_name:
            return error_of_name.message
        try:
            arrays = to_arrays(inputs, signature)
        except InvalidArgument:
            if not isinstance(inputs, Mapping):
                return ""  # that is the error, and it has told what is wrong
            arrays = to_arrays(inputs, None)
        return error_hints.of_inputs(arrays, name, signature) or error_hints.of_outputs(outputs, signature)


def _key(spec: messages.ModelSpec) -> _Key:
    return spec.name, spec.version.value if spec.HasField("version") else None, spec.version_label or None


def _without_signature(spec: messages.ModelSpec) -> messages.ModelSpec:
    asked = messages.ModelSpec()
    asked.CopyFrom(spec)
    asked.ClearField("signature_name")
    return asked
