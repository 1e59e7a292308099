"""What the client's calls return, beside predictions: signatures, states, and what is made of tf.Examples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from modelport.dtypes import BY_NUMBER, DType
from modelport.errors import Code
from modelport.wire import messages
from modelport_client.prediction import Array, Prediction

__all__ = ["Array", "Prediction"]  # of their own module, and part of this one's subject


@dataclass(frozen=True)
class TensorSpec:
    """A named input or output: its dtype and shape; -1 is a dimension that is free, a shape of None a free rank."""

    dtype: DType | None  # None: not a type whose tensors can be sent
    shape: tuple[int, ...] | None

    def __str__(self) -> str:
        sizes = "..." if self.shape is None else ", ".join("?" if size < 0 else str(size) for size in self.shape)
        return f"{self.dtype.name if self.dtype else 'unknown'} [{sizes}]"


@dataclass(frozen=True)
class SignatureSpec:
    """A signature: its inputs and outputs by name, and the inputs that may be left out over gRPC."""

    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]
    method_name: str
    optional: frozenset[str] = frozenset()

    def __str__(self) -> str:
        inputs = ", ".join(f"{name}: {spec}" for name, spec in sorted(self.inputs.items()))
        outputs = ", ".join(f"{name}: {spec}" for name, spec in sorted(self.outputs.items()))
        return f"({inputs}) -> ({outputs})"


@dataclass(frozen=True)
class Metadata:
    """The signatures of one version of a model."""

    model: str
    version: int
    signatures: Mapping[str, SignatureSpec]


@dataclass(frozen=True)
class VersionState:
    """One version as the server reports it; `state` is START, LOADING, AVAILABLE, UNLOADING or END."""

    version: int
    state: str
    code: Code = Code.OK
    message: str = ""


@dataclass(frozen=True)
class Class:
    """A class with its score; a signature without labels has empty ones."""

    label: str
    score: float


@dataclass(frozen=True)
class Classified:
    """The answer of Classify.

    Attributes:
        rows: of each example its classes, in the order in which the model has them.
        model: the model that was asked.
        version: the version that answered; None where the server does not say it (tensorflow/serving over REST).
        signature: the signature that was run.
    """

    rows: tuple[tuple[Class, ...], ...]
    model: str
    version: int | None = None
    signature: str | None = None


@dataclass(frozen=True)
class Regressed:
    """The answer of Regress; `values` has a number of each example, and the others are as in `Classified`."""

    values: list[float]
    model: str
    version: int | None = None
    signature: str | None = None


def classified_of(result: messages.ClassificationResult, spec: messages.ModelSpec) -> Classified:
    """Read what Classify answers."""
    rows = tuple(tuple(Class(entry.label, entry.score) for entry in row.classes) for row in result.classifications)
    return Classified(rows, spec.name, spec.version.value, spec.signature_name or None)


def regressed_of(result: messages.RegressionResult, spec: messages.ModelSpec) -> Regressed:
    """Read what Regress answers."""
    values = [entry.value for entry in result.regressions]
    return Regressed(values, spec.name, spec.version.value, spec.signature_name or None)


_INIT_SIGNATURE = "__saved_model_init_op"  # TensorFlow 2 writes it into every SavedModel; it cannot be called


def metadata_of(response: messages.GetModelMetadataResponse) -> Metadata:
    """Read the answer of GetModelMetadata."""
    signatures = messages.SignatureDefMap()
    response.metadata["signature_def"].Unpack(signatures)
    found = {name: _signature(proto) for name, proto in signatures.signature_def.items() if name != _INIT_SIGNATURE}
    return Metadata(response.model_spec.name, response.model_spec.version.value, dict(sorted(found.items())))


def states_of(response: messages.GetModelStatusResponse) -> list[VersionState]:
    """Read the answer of GetModelStatus."""
    states = messages.ModelVersionStatus.DESCRIPTOR.enum_types_by_name["State"].values_by_number
    return [
        VersionState(
            entry.version,
            states[entry.state].name if entry.state in states else "UNKNOWN",
            Code(entry.status.error_code),
            entry.status.error_message,
        )
        for entry in response.model_version_status
    ]


def _signature(proto: messages.SignatureDef) -> SignatureSpec:
    return SignatureSpec(
        {name: _tensor(info) for name, info in proto.inputs.items()},
        {name: _tensor(info) for name, info in proto.outputs.items()},
        proto.method_name,
        frozenset(proto.defaults),
    )


def _tensor(info: messages.TensorInfo) -> TensorSpec:
    shape = info.tensor_shape
    return TensorSpec(BY_NUMBER.get(info.dtype), None if shape.unknown_rank else tuple(dim.size for dim in shape.dim))
