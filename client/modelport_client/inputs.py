"""From what a user holds to the arrays that go over the wire, the same for both transports."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from modelport.dtypes import Layout, of_array
from modelport.errors import FailedPrecondition, InvalidArgument, from_os_error
from modelport.tensors import as_array
from modelport_client import error_hints
from modelport_client.casting import cast
from modelport_client.results import Array, Metadata, SignatureSpec

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
        raise FailedPrecondition(error_hints.of_signature(name, metadata))
    return name, signature


def to_arrays(inputs: Any, signature: SignatureSpec | None) -> dict[str, Array]:
    """Name -> array, with the signature's dtypes where it is given and no value is lost by it.

    A `Path` is read, and it, bytes and str become a string tensor of rank 1.

    Raises:
        InvalidArgument: values without a name for a signature of several inputs, or values that do not convert.
        NotFound, PermissionDenied: a file cannot be read.
    """
    if not isinstance(inputs, Mapping):
        names = list(signature.inputs) if signature is not None else []
        if len(names) != 1:
            raise InvalidArgument(
                f"Expected a mapping of input names to values, because the signature has the inputs {sorted(names)}. "
                f"Received: {type(inputs).__name__}"
            )
        inputs = {names[0]: inputs}
    return {name: _to_array(value, name, signature) for name, value in inputs.items()}


def _to_array(value: Any, name: str, signature: SignatureSpec | None) -> Array:
    spec = signature.inputs.get(name) if signature is not None else None
    try:
        array = _read(value)
        if spec is None or spec.dtype is None:
            return array
        try:
            return cast(array, spec.dtype)
        except InvalidArgument as error:
            is_ = f"{of_array(array).name} {list(array.shape)}"
            raise InvalidArgument(f"{error.message} The input {name!r} should be {spec}, is {is_}.") from error
    except InvalidArgument as error:
        raise InvalidArgument(f"Input {name!r}: {error.message}") from error


def _read(value: Any) -> Array:
    if not isinstance(value, np.ndarray):
        value = _read_files(value)
        if isinstance(value, bytes | str):
            value = [value]
    array = as_array(value)
    if array.dtype.kind in "OU":
        _refuse_surrogates(array)
    return array


def _refuse_surrogates(array: Array) -> None:
    text = "".join(item for item in array.ravel().tolist() if isinstance(item, str))
    try:
        text.encode()
    except UnicodeEncodeError as error:
        around = text[max(0, error.start - 10) : error.end + 10]
        raise InvalidArgument(
            f"Expected text that UTF-8 can carry, or bytes. Received: {around!r} ({error.reason})"
        ) from error


def _read_files(value: Any) -> Any:
    if isinstance(value, Path):
        try:
            return value.read_bytes()
        except OSError as error:
            raise from_os_error(error, "read the image", value) from error
    if isinstance(value, list | tuple) and any(isinstance(item, Path) for item in value):
        return [_read_files(item) for item in value]
    return value


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
    return isinstance(value, bytes | Path)


def _is_string(spec: Any) -> bool:
    return spec.dtype is not None and spec.dtype.layout is Layout.STRING
