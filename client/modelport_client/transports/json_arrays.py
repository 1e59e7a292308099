"""Arrays as JSON and back, for the REST transport.

Numbers are written in slices, between which the deadline is looked at: a million of them take a second. What is read
must be what the signature promises, so that an answer is never taken for another one.

JSON has no way to write an array without rows but `[]`, in which the inner dimensions are lost. In an answer they are
taken from the signature; a dimension that is free there is 0. A request needs them, so `filled` says how to keep them.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from modelport.dtypes import DType, Layout, of_array
from modelport.errors import InvalidArgument
from modelport_client.inputs.casting import cast
from modelport_client.results import Array, SignatureSpec, TensorSpec
from modelport_client.transports.deadline import Deadline

_SLICE = 16_384  # numbers written at once: 12 ms at the 0.7 µs that a float takes
_STRING_SLICE = 256  # strings written at once: they may be images of a megabyte, each 1 ms


class Mismatch(ValueError):
    """An answer that is not one of the signature's: another version gave it."""


def request_body(inputs: Mapping[str, Array], signature_name: str, deadline: Deadline) -> bytes:
    """The body of a predict request with its inputs as columns.

    Raises:
        InvalidArgument: JSON cannot carry a dtype, or an array without rows.
        DeadlineExceeded: writing took too long.
    """
    pieces = [f'{{"signature_name": {json.dumps(signature_name)}, "inputs": {{']
    for index, (name, array) in enumerate(inputs.items()):
        pieces.append(f"{', ' if index else ''}{json.dumps(name)}: ")
        pieces += _pieces(_writable(array, name), deadline)
    pieces.append("}}")
    deadline.check()
    return "".join(pieces).encode()


def filled(inputs: Mapping[str, Array]) -> dict[str, Array] | None:
    """The inputs with one row of zeros (or empty strings) where JSON would lose the shape of none; None if not needed.

    The caller takes that row out of the answer again (`without_rows`).
    """
    if not any(_loses_shape(array) and array.shape[0] == 0 for array in inputs.values()):
        return None
    return {name: _one_row(array) if array.ndim and not len(array) else array for name, array in inputs.items()}


def without_rows(arrays: Mapping[str, Array], signature: SignatureSpec) -> dict[str, Array]:
    """The answer to `filled` inputs without that row: of each output with a row for a row, as its signature has it."""
    return {
        name: array[:0] if _has_rows(signature.outputs[name]) and array.ndim and len(array) == 1 else array
        for name, array in arrays.items()
    }


def read_outputs(value: Any, signature: SignatureSpec) -> dict[str, Array]:
    """The arrays of an answer; the only output of a signature comes without its name.

    Raises:
        Mismatch: other names, or values of another kind, than the signature's.
    """
    expected = signature.outputs
    if len(expected) == 1:
        value = {next(iter(expected)): value}
    elif not isinstance(value, dict) or value.keys() != expected.keys():
        names = sorted(value) if isinstance(value, dict) else f"one of type {type(value).__name__}"
        raise Mismatch(f"Expected the outputs {sorted(expected)}; received {names}.")
    return {name: _read(value[name], name, spec) for name, spec in expected.items()}


def _writable(array: Array, name: str) -> Array:
    row = of_array(array)
    if row.layout is Layout.PATTERN or row.layout is Layout.BYTES or array.dtype.kind in "cV":
        raise InvalidArgument(f"Input {name!r}: expected a dtype that JSON can carry; received {row.name}. Use gRPC.")
    if _loses_shape(array):
        raise InvalidArgument(
            f"Input {name!r}: expected a shape that JSON can carry; received {list(array.shape)}, whose dimensions "
            "after the 0 it loses. Use gRPC."
        )
    return array


def _pieces(array: Array, deadline: Deadline) -> Iterator[str]:
    """The text of an array, in slices."""
    deadline.check()
    is_text = array.dtype.kind in "OSU"
    limit = _STRING_SLICE if is_text else _SLICE
    if array.ndim == 0 or array.size <= limit:
        yield _text(array, is_text)
        return
    row_size = array.size // len(array)
    rows = max(1, limit // row_size)
    yield "["
    for start in range(0, len(array), rows):
        deadline.check()
        if start:
            yield ", "
        if row_size > limit:
            yield from _pieces(array[start], deadline)
        else:
            yield _text(array[start : start + rows], is_text)[1:-1]
    yield "]"


def _text(array: Array, is_text: bool) -> str:
    values = array.tolist()
    return json.dumps(_map_strings(values) if is_text else values)


def _map_strings(value: Any) -> Any:
    """Strings as they are, bytes as base64, at any depth."""
    if isinstance(value, list):
        return [_map_strings(item) for item in value]
    return {"b64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def _loses_shape(array: Array) -> bool:
    return 0 in array.shape[:-1]


def _one_row(array: Array) -> Array:
    return np.full((1, *array.shape[1:]), b"" if array.dtype.kind in "OSU" else 0, array.dtype)


def _has_rows(spec: TensorSpec) -> bool:
    return spec.shape is None or (bool(spec.shape) and spec.shape[0] < 0)


def _read(value: Any, name: str, spec: TensorSpec) -> Array:
    try:
        if spec.dtype is not None and spec.dtype.layout is Layout.STRING:
            array = _strings(value)
        else:
            array = _numbers(value, spec.dtype)
    except (ValueError, TypeError, OverflowError) as error:
        raise Mismatch(f"Expected {spec} for the output {name!r}; received {value!s:.80}: {error}") from error
    if 0 in array.shape and spec.shape is not None and len(spec.shape) > array.ndim:
        array = array.reshape(array.shape + tuple(max(0, size) for size in spec.shape[array.ndim :]))
    return array


def _numbers(value: Any, dtype: DType | None) -> Array:
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise TypeError("these are no numbers")
    if dtype is None or array.dtype == dtype.numpy:
        return array
    if dtype.numpy.kind == "u" and array.dtype.kind in "fO":  # numpy takes integers of 64 bits for floats in places
        array = np.array(value, object)
        if not all(type(item) is int for item in array.ravel().tolist()):
            raise TypeError("these are no integers")
        return array.astype(dtype.numpy)
    if dtype.numpy.kind != "b" and array.dtype.kind == "b":
        raise TypeError("these are truth values")
    if array.dtype.kind in "iu" and dtype.numpy.kind not in "iub":  # proxies may write 2.0 as 2
        array = array.astype(np.float64)
    return cast(array, dtype)


def _strings(value: Any) -> Array:
    """Nested lists of strings and {"b64"} objects as an object array of bytes."""
    shape = []
    level = value
    while isinstance(level, list):
        shape.append(len(level))
        level = level[0] if level else None
    flat = [value]
    for size in shape:
        if any(not isinstance(items, list) or len(items) != size for items in flat):
            raise ValueError("the rows have different lengths")
        flat = [item for items in flat for item in items]
    array = np.empty(shape, object)
    array.reshape(-1)[:] = [_bytes(leaf) for leaf in flat]
    return array


def _bytes(leaf: Any) -> bytes:
    if isinstance(leaf, str):
        return leaf.encode(errors="surrogateescape")  # as it was read: bytes that are no UTF-8 come through
    if isinstance(leaf, dict) and leaf.keys() == {"b64"}:
        return base64.b64decode(leaf["b64"], validate=True)
    raise TypeError("these are no strings")
