"""A checked request: what to feed, what to fetch, and what to make of the result. And the rules of checking."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from modelport.errors import InvalidArgument
from modelport.tensor_shapes import MAX_RANK
from modelport.wire import messages
from modelport_serving.core.servable_state import ServableId
from modelport_serving.servables.servable import Signature, TensorInfo

Array = np.ndarray[Any, np.dtype[Any]]
T = TypeVar("T")

PREDICT_METHOD, CLASSIFY_METHOD, REGRESS_METHOD = (
    f"tensorflow/serving/{verb}" for verb in ("predict", "classify", "regress")
)
DEFAULT_SIGNATURE = "serving_default"


@dataclass(frozen=True)
class Run(Generic[T]):
    """A request that was checked against a version.

    Attributes:
        feeds: tensor name → array.
        fetches: tensor names.
        finish: arrays in the order of `fetches` → the answer.
        merges, steady: see `Signature`.
    """

    feeds: Mapping[str, Array]
    fetches: Sequence[str]
    finish: Callable[[Sequence[Array]], T]
    merges: bool = False
    steady: bool = False


def planned(
    signature: Signature, inputs: Mapping[str, Array], fetches: Sequence[str], finish: Callable[[Sequence[Array]], T]
) -> Run[T]:
    """The run of checked inputs, by alias; what was proven of a signature holds for inputs of the declared shapes."""
    feeds = {tensor_of(signature, alias, signature.inputs[alias]): array for alias, array in inputs.items()}
    fits = (signature.merges or signature.steady) and signature.fits(inputs)
    return Run(feeds, fetches, finish, fits and signature.merges, fits and signature.steady)


@dataclass(frozen=True)
class Answer(Generic[T]):
    """An answer in arrays, and who gave it."""

    servable_id: ServableId
    signature: str
    value: T


@dataclass(frozen=True)
class Rules:
    """What the server's flags say about requests."""

    check_method_name: bool = False  # --enable_signature_method_name_check
    tensor_content: bool = False  # --enable_serialization_as_tensor_content
    max_rank: int = MAX_RANK  # --max_tensor_rank


class _HasSpec(Protocol):
    @property
    def model_spec(self) -> messages.ModelSpec: ...

    def HasField(self, field_name: str) -> bool: ...  # noqa: N802  # protobuf's own name


def spec_of(request: _HasSpec) -> messages.ModelSpec:
    """The request's ModelSpec.

    Raises:
        InvalidArgument: it has none.
    """
    if not request.HasField("model_spec"):
        raise InvalidArgument("Missing ModelSpec")
    return request.model_spec


def fill_spec(spec: messages.ModelSpec, servable_id: ServableId, signature: str) -> None:
    """Say in an answer who gave it."""
    spec.name, spec.signature_name = servable_id.name, signature
    spec.version.value = servable_id.version


def tensor_of(signature: Signature, alias: str, info: TensorInfo) -> str:
    """The name of the one dense tensor behind an input or output.

    Raises:
        InvalidArgument: it is a sparse or composite one, of several tensors, which no request can carry.
    """
    if info.tensor:
        return info.tensor
    raise InvalidArgument(
        f"Expected signature {signature.name!r} to have dense inputs and outputs only. Its {alias!r} is declared as a "
        "sparse or composite tensor, which Predict cannot carry. Export it as dense tensors."
    )
