"""What a signature is: named inputs and outputs with their dtypes and shapes.

Aliases are the names that clients send and read. They are free text as far as the API goes; we refuse only what cannot
be typed or told apart. A size of -1 is one that varies, as in the API's own metadata.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from modelport import dtypes
from modelport.errors import InvalidArgument
from modelport.tensors import as_array

Array = np.ndarray[Any, np.dtype[Any]]

SERVING_DEFAULT = "serving_default"
SERVE_IMAGE_BYTES = "serve_image_bytes"
CLASSIFY = "classify"

# Quantized types are numbers of another meaning than their bytes; no Keras model takes or gives them.
_BY_NAME = {
    "string" if row is dtypes.STRING else row.numpy_name: row
    for row in dtypes.DTYPES
    if not row.name.startswith(("qint", "quint"))
}
# json_tensor.cc of TensorFlow Serving reads and writes these; the rest travels over gRPC only.
REST_DTYPES = frozenset(
    ("float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint32", "uint64", "bool", "string")
)


@dataclass(frozen=True)
class Spec:
    """One tensor of a signature; `dtype` is numpy's name or `string`, -1 in `shape` is a size that varies."""

    dtype: str
    shape: tuple[int, ...] | None  # None: any number of dimensions

    @property
    def row(self) -> dtypes.DType:
        """The dtype's row in the contract's table."""
        return _BY_NAME[self.dtype]

    def to_dict(self) -> dict[str, Any]:
        """The manifest's form."""
        return {"dtype": self.dtype, "shape": None if self.shape is None else list(self.shape)}


@dataclass(frozen=True)
class Signature:
    """The aliases of one signature, in the model's order."""

    inputs: Mapping[str, Spec]
    outputs: Mapping[str, Spec]

    def to_dict(self) -> dict[str, Any]:
        """The manifest's form."""
        return {
            "inputs": {alias: spec.to_dict() for alias, spec in self.inputs.items()},
            "outputs": {alias: spec.to_dict() for alias, spec in self.outputs.items()},
        }


def spec_of(tensor: Any, what: str, *, any_rank: bool = False) -> Spec:
    """The Spec of anything with a shape and a dtype: a KerasTensor, tf.TensorSpec, InputSpec or array.

    Args:
        tensor: see above.
        what: names it in messages.
        any_rank: take a shape of an unknown number of dimensions.

    Raises:
        InvalidArgument: it has no shape, or a dtype that the API cannot carry; `what` names it in the message.
    """
    shape = getattr(tensor, "shape", None)
    if any_rank and getattr(shape, "rank", 0) is None:
        return Spec(_dtype_name(tensor.dtype, what), None)
    try:
        sizes = tuple(-1 if size is None else int(size) for size in shape)  # type: ignore[union-attr]
    except (TypeError, ValueError) as error:
        raise InvalidArgument(f"Expected {what} to have a known number of dimensions. Received: {tensor!r}") from error
    return Spec(_dtype_name(tensor.dtype, what), sizes)


def _dtype_name(dtype: Any, what: str) -> str:
    if isinstance(dtype, np.dtype) and dtype.kind in "OSU":
        return "string"
    name = getattr(dtype, "name", None) or str(dtype)
    if name not in _BY_NAME:
        raise InvalidArgument(
            f"Expected {what} to be of a dtype that TensorFlow Serving's API carries ({', '.join(sorted(_BY_NAME))}). "
            f"Received: {name}. Cast it inside the model."
        )
    return name


def check_aliases(aliases: Sequence[str], what: str) -> None:
    """Refuse names that are empty, not text, not printable, overlong or given twice.

    Args:
        aliases: the names.
        what: "input" or "output", for the message.

    Raises:
        InvalidArgument: with the name and the remedy.
    """
    for alias in aliases:
        if not isinstance(alias, str) or not alias or not alias.isprintable() or len(alias) > 128:
            raise InvalidArgument(
                f"Expected {what} names of 1 to 128 printable characters, because clients send them as JSON keys. "
                f"Received: {alias!r}. Rename the layer or the dict key."
            )
        if aliases.count(alias) > 1:
            raise InvalidArgument(
                f"Expected every {what} to have a name of its own. Received {alias!r} {aliases.count(alias)} times: "
                f"{list(aliases)}. Use a dict of {what}s, or name the layers apart."
            )


def fit(alias: str, value: Any, spec: Spec) -> Array:
    """Turn a value into an array of the spec's dtype and shape.

    Raises:
        InvalidArgument: another rank or size, or values that do not convert without loss.
    """
    try:
        array = as_array(value, spec.row)
    except InvalidArgument as error:
        raise InvalidArgument(f"Samples of input {alias!r}: {error.message}") from error
    sizes_fit = spec.shape is None or (
        len(array.shape) == len(spec.shape)
        and all(want in (-1, have) for want, have in zip(spec.shape, array.shape, strict=True))
    )
    if not sizes_fit:
        raise InvalidArgument(
            f"Expected samples of input {alias!r} to have the shape {list(spec.shape or ())} (-1 varies) and dtype "
            f"{spec.dtype}. Received: shape {list(array.shape)}, dtype {array.dtype}"
        )
    return as_bytes(array) if array.dtype.kind in "OSU" else array


def as_bytes(array: Array) -> Array:
    """Strings as objects that are all bytes, which is what the API carries."""
    flat = [value.encode() if isinstance(value, str) else bytes(value) for value in array.ravel()]
    found = np.empty(len(flat), object)
    found[:] = flat
    return found.reshape(array.shape)
