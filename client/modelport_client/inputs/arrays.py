"""From what a user holds to the arrays that go over the wire, the same for both transports."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from modelport.dtypes import Layout, of_array
from modelport.errors import FailedPrecondition, InvalidArgument
from modelport.tensors import as_array
from modelport_client.inputs import frames, pictures
from modelport_client.inputs.casting import cast
from modelport_client.results import Array, Metadata, SignatureSpec, TensorSpec

DEFAULT_SIGNATURE = "serving_default"
IMAGE_SIGNATURE = "serve_image_bytes"
# What numpy makes of numbers unless it is told otherwise, and models seldom take.
_DTYPES_OF_HABIT = (np.dtype(np.float64), np.dtype(np.int64))


def needs_signature(inputs: Any) -> bool:
    """Whether names or dtypes have to be looked up before the request can be written.

    Not for a mapping of names to numpy arrays of a dtype that somebody chose: float32 that fits is sent at once, and
    one that does not fit is cast after the server's refusal.
    """
    return not isinstance(inputs, Mapping) or not all(
        isinstance(value, np.ndarray) and value.dtype not in _DTYPES_OF_HABIT for value in inputs.values()
    )


def signature_for(inputs: Any, name: str, metadata: Metadata) -> tuple[str, SignatureSpec]:
    """The signature that is meant, and its name; without a name the one for images when files or bytes are given.

    Raises:
        FailedPrecondition: there is none of that name.
    """
    name = name or _pick(inputs, metadata)
    signature = metadata.signatures.get(name)
    if signature is None:
        raise FailedPrecondition(_no_signature(name, metadata))
    return name, signature


def to_arrays(inputs: Any, signature: SignatureSpec | None) -> dict[str, Array]:
    """Name -> array, with the signature's dtypes where it is given and no value is lost by it.

    Columns meet inputs by their names, and (N,) fits (N, 1). A frame, or rows as dicts, for a signature of one input of
    rank 2 that has no column of its name are the values of its rows, side by side in their order. A scalar fits (N, 1).
    A `Path` is read, a folder is its image files, and they, bytes and str become a string tensor of rank 1.

    Raises:
        InvalidArgument: values without a name for a signature of several inputs, or values that do not convert.
        NotFound, PermissionDenied: a file cannot be read.
    """
    if frames.is_frame(inputs):
        inputs = _as_one_input(frames.columns_of_frame(inputs), signature)
    elif frames.is_rows(inputs):
        inputs = _as_one_input(_read_columns(frames.columns_of_rows(inputs)), signature)
    if not isinstance(inputs, Mapping):
        names = list(signature.inputs) if signature is not None else []
        if len(names) != 1:
            raise InvalidArgument(
                f"Expected a mapping of input names to values, because the signature has the inputs {sorted(names)}. "
                f"Received: {type(inputs).__name__}"
            )
        inputs = {names[0]: inputs}
    return {name: _to_array(value, name, signature) for name, value in inputs.items()}


def _as_one_input(columns: dict[str, Array], signature: SignatureSpec | None) -> dict[str, Array]:
    if signature is None or len(signature.inputs) != 1:
        return columns
    ((name, spec),) = signature.inputs.items()
    if name in columns or spec.shape is None or len(spec.shape) != 2:
        return columns
    return {name: frames.side_by_side(columns, spec, name)}


def _read_columns(columns: Mapping[str, Any]) -> dict[str, Array]:
    read = {}
    for name, values in columns.items():
        try:
            read[name] = _read(values, None, name)
        except InvalidArgument as error:
            raise InvalidArgument(f"Column {name!r}: {error.message}") from error
    return read


def _to_array(value: Any, name: str, signature: SignatureSpec | None) -> Array:
    spec = signature.inputs.get(name) if signature is not None else None
    try:
        array = _read(value, spec, name)
        if spec is None:
            return array
        array = _with_rows(array, spec)
        if spec.dtype is None:
            return array
        try:
            return cast(array, spec.dtype)
        except InvalidArgument as error:
            is_ = f"{of_array(array).name} {list(array.shape)}"
            raise InvalidArgument(f"{error.message} The input {name!r} should be {spec}, is {is_}.") from error
    except InvalidArgument as error:
        text = error.message
        raise InvalidArgument(text if text.startswith(("Input ", "Column ")) else f"Input {name!r}: {text}") from error


def _with_rows(array: Array, spec: TensorSpec) -> Array:
    """A column, or a scalar, for an input of one value in each row: in the input's shape."""
    is_column = array.ndim <= 1 and spec.shape is not None and len(spec.shape) == 2 and spec.shape[1] == 1
    return array.reshape(-1, 1) if is_column else array


def _read(value: Any, spec: TensorSpec | None, name: str) -> Array:
    if isinstance(value, np.ma.MaskedArray):
        raise InvalidArgument("Expected a value everywhere. Received a masked array; fill it first.")
    if frames.is_column(value):
        value = frames.column(value, name)
    if not isinstance(value, np.ndarray):
        value = _read_files(value, spec, name)
        if isinstance(value, bytes | str):
            value = [value]
    array = as_array(value)
    if array.dtype.kind == "f" and not isinstance(value, np.ndarray) and spec is not None and spec.dtype is not None:
        array = _whole(value, array, spec.dtype.numpy)
    if array.dtype.kind in "OU":
        _refuse_surrogates(array)
    return array


def _whole(value: Any, array: Array, wanted: np.dtype[Any]) -> Array:
    """Python's integers as they are: numpy makes floats of those that no signed integer of 64 bits has."""
    if wanted.kind not in "iu":
        return array
    exact = np.array(value, object)
    return exact.astype(wanted) if all(type(item) is int and item >> 64 == 0 for item in exact.flat) else array


def _refuse_surrogates(array: Array) -> None:
    text = "".join(item for item in array.ravel().tolist() if isinstance(item, str))
    try:
        text.encode()
    except UnicodeEncodeError as error:
        around = text[max(0, error.start - 10) : error.end + 10]
        raise InvalidArgument(
            f"Expected text that UTF-8 can carry, or bytes. Received: {around!r} ({error.reason})"
        ) from error


def _read_files(value: Any, spec: TensorSpec | None, name: str) -> Any:
    """Files and pictures, alone or in lists, as what is sent of them; all else as it is."""
    if isinstance(value, Path):
        return (
            [pictures.read_image(path) for path in pictures.files_of(value)] if value.is_dir() else pictures.read(value)
        )
    if pictures.is_picture(value):
        return [_picture(value, spec, name)]
    if isinstance(value, list | tuple) and any(isinstance(item, Path) or pictures.is_picture(item) for item in value):
        return [pictures.read(item) if isinstance(item, Path) else _picture(item, spec, name) for item in value]
    return value


def _picture(value: Any, spec: TensorSpec | None, name: str) -> Any:
    if not pictures.is_picture(value):
        return value
    return pictures.encoded(value) if spec is None or _is_string(spec) else pictures.pixels(value, spec.shape, name)


def _no_signature(name: str, metadata: Metadata) -> str:
    near = difflib.get_close_matches(name, metadata.signatures, 1, 0.4)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"Expected one of the signatures {sorted(metadata.signatures)}. Received: {name!r}.{hint}"


def _pick(inputs: Any, metadata: Metadata) -> str:
    values = list(inputs.values()) if isinstance(inputs, Mapping) else [inputs]
    encoded = bool(values) and all(_is_encoded(value) for value in values)
    default = metadata.signatures.get(DEFAULT_SIGNATURE)
    takes_bytes = default is not None and any(_is_string(spec) for spec in default.inputs.values())
    if encoded and not takes_bytes and IMAGE_SIGNATURE in metadata.signatures:
        return IMAGE_SIGNATURE
    return DEFAULT_SIGNATURE


def _is_encoded(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return bool(value) and all(_is_encoded(item) for item in value)
    return isinstance(value, bytes | Path) or pictures.is_picture(value)


def _is_string(spec: Any) -> bool:
    return spec.dtype is not None and spec.dtype.layout is Layout.STRING
