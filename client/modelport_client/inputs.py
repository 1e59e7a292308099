"""From what a user holds to the arrays that go over the wire."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from modelport.dtypes import Layout
from modelport.errors import InvalidArgument, from_os_error
from modelport.tensors import as_array
from modelport_client.results import Array, Metadata, SignatureSpec

DEFAULT_SIGNATURE = "serving_default"
IMAGE_SIGNATURE = "serve_image_bytes"


def needs_signature(inputs: Any) -> bool:
    """Whether names or dtypes have to be looked up: not for a mapping of names to numpy arrays."""
    return not isinstance(inputs, Mapping) or not all(isinstance(value, np.ndarray) for value in inputs.values())


def pick_signature(inputs: Any, metadata: Metadata) -> str:
    """The signature that is meant when none is named: the one for encoded images when files or bytes are given."""
    values = list(inputs.values()) if isinstance(inputs, Mapping) else [inputs]
    encoded = bool(values) and all(_is_encoded(value) for value in values)
    default = metadata.signatures.get(DEFAULT_SIGNATURE)
    takes_bytes = default is not None and any(_is_string(spec) for spec in default.inputs.values())
    if encoded and not takes_bytes and IMAGE_SIGNATURE in metadata.signatures:
        return IMAGE_SIGNATURE
    return DEFAULT_SIGNATURE


def to_arrays(inputs: Any, signature: SignatureSpec | None) -> dict[str, Array]:
    """Name -> array.

    A numpy array goes as it is: its dtype is the user's word. Lists and numbers take the signature's dtype. A `Path` is
    read, and it, bytes and str become a string tensor of rank 1.

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
    if isinstance(value, np.ndarray):
        return value
    value = _read_files(value)
    if isinstance(value, bytes | str):
        value = [value]
    spec = signature.inputs.get(name) if signature is not None else None
    try:
        return as_array(value, spec.dtype if spec is not None else None)
    except InvalidArgument as error:
        raise InvalidArgument(f"Input {name!r}: {error.message}") from error


def _read_files(value: Any) -> Any:
    if isinstance(value, Path):
        try:
            return value.read_bytes()
        except OSError as error:
            raise from_os_error(error, "read the image", value) from error
    if isinstance(value, list | tuple) and any(isinstance(item, Path) for item in value):
        return [_read_files(item) for item in value]
    return value


def _is_encoded(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return bool(value) and all(_is_encoded(item) for item in value)
    return isinstance(value, bytes | Path)


def _is_string(spec: Any) -> bool:
    return spec.dtype is not None and spec.dtype.layout is Layout.STRING
