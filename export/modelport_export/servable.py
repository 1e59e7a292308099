"""A Keras model as a server will run it: its signatures, and what the answers ought to be.

Two kinds: any model with named inputs and outputs (`Generic`), and the image classifier (`classifier.ImageClassifier`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from modelport.errors import InvalidArgument
from modelport_export import naming
from modelport_export.calling import Call
from modelport_export.endpoint import Endpoint, trace
from modelport_export.proof.reference import Reference
from modelport_export.signatures import SERVING_DEFAULT, Array, check_aliases


class Servable(Protocol):
    """What the exporter needs of either kind.

    `holders` are the trackable objects that hold all variables and tables; `notes` are for the report; `labels` are
    those of an image classifier.
    """

    holders: tuple[Any, ...]
    notes: list[str]
    labels: Sequence[str]

    @property
    def endpoints(self) -> dict[str, Endpoint]:
        """The signatures, traced."""

    def feeds(self, samples: Mapping[str, Array]) -> dict[str, dict[str, Array]]:
        """Raw samples, named as in `serving_default`, as the inputs of every signature."""

    def expected(self, samples: Mapping[str, Array]) -> dict[str, dict[str, Array]]:
        """The answers of the user's model, called by itself, to raw samples: as the outputs of every signature."""


class Generic:
    """Any Keras model: one signature, `serving_default`."""

    def __init__(self, model: Any, call: Call) -> None:
        self.model = model
        self.call = call
        self.holders: tuple[Any, ...] = (model,)
        self.notes: list[str] = []
        self.labels: Sequence[str] = ()
        self._names = _names_by_path(model)
        self.endpoints = {SERVING_DEFAULT: trace(self.serve, call.specs)}
        self._reference = Reference(model, list(self.endpoints[SERVING_DEFAULT].signature.outputs))

    def feeds(self, samples: Mapping[str, Array]) -> dict[str, dict[str, Array]]:
        """See `Servable`."""
        return {SERVING_DEFAULT: dict(samples)}

    def expected(self, samples: Mapping[str, Array]) -> dict[str, dict[str, Array]]:
        """See `Servable`."""
        return {SERVING_DEFAULT: self._reference(samples)}

    def serve(self, tensors: Mapping[str, Any]) -> dict[str, Any]:
        """Named tensors in, named tensors out; eager or while tracing."""
        outputs = self.call(self.model, tensors)
        names = self._names or dict(
            zip((p for p, _ in naming.leaves(outputs)), naming.output_names(outputs), strict=True)
        )
        if not names:
            raise InvalidArgument(f"Expected a model that returns tensors. Received: {outputs!r}")
        check_aliases(list(names.values()), "output")
        return {names[path]: tensor for path, tensor in naming.leaves(outputs)}


def _names_by_path(model: Any) -> dict[naming.Path, str]:
    """Output names of a functional or Sequential model, whose layers are known; empty for a subclassed one."""
    structure = getattr(getattr(model, "_functional", None) or model, "_outputs_struct", None)
    if structure is None:
        return {}
    paths = [path for path, _ in naming.leaves(structure)]
    return dict(zip(paths, naming.output_names(structure), strict=True))
