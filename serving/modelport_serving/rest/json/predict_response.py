"""Output arrays → the body of a Predict answer, as TensorFlow Serving lays it out.

Rows go to `predictions`, whole tensors to `outputs`. A single output stands there without its name. Strings are
written as raw bytes, or as base64 objects where the output's alias ends with `_bytes`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from modelport import dtypes
from modelport.errors import InvalidArgument
from modelport_serving.rest.json import number_texts
from modelport_serving.rest.json.layout import INDENT, block, enclosed, inline
from modelport_serving.rest.json.strings import encode_base64, quoted
from modelport_serving.rest.json.tensor_values import INTEGER_RANGES, Array

_NUMBERS = frozenset(("float", "double", "bool", *INTEGER_RANGES))
_BASE64_SUFFIX = "_bytes"


def encode_predictions(outputs: Mapping[str, Array | bytes], row_format: bool) -> bytes:
    """Write the body of an answer.

    Args:
        outputs: array by alias; strings as object arrays of bytes, or as bytes, which is how a session returns a
            scalar string.
        row_format: whether the request came as rows; then every output needs the same first dimension.

    Raises:
        InvalidArgument: no outputs, a dtype that JSON cannot carry, or, in row format, scalars or unequal batches.
    """
    if not outputs:
        raise InvalidArgument("Cannot convert empty tensor map to JSON")
    arrays = {alias: np.array(value, object) if isinstance(value, bytes) else value for alias, value in outputs.items()}
    if not row_format:
        return b'{\n    "outputs": ' + _columns(arrays) + b"\n}"
    rows = _batch_size(arrays)
    if not rows:
        text = b"[]"
    elif len(arrays) > 1:
        text = _named_rows(arrays, rows)
    else:
        text = _plain_rows(*next(iter(arrays.items())))
    return b'{\n    "predictions": ' + text + b"\n}"


def _batch_size(outputs: Mapping[str, Array]) -> int:
    size = None
    for alias, array in outputs.items():
        if not array.ndim:
            raise InvalidArgument(f"Tensor name: {alias} has no shape information ")
        if size is not None and size != len(array):
            raise InvalidArgument(f"Tensor name: {alias} has inconsistent batch size: {len(array)} expecting: {size}")
        size = len(array)
    return size or 0


def _plain_rows(alias: str, array: Array) -> bytes:
    if array.size and array.dtype != object:
        _check(array)
        text = number_texts.compact(array).replace(b",", b", ")
    else:
        text = inline(_leaves(alias, array, 1), array.shape)
    return text[:-1] + b"\n" + INDENT + b"]"


def _named_rows(outputs: Mapping[str, Array], rows: int) -> bytes:
    members = []
    for alias, array in outputs.items():
        leaves = _leaves(alias, array, 2)
        size = len(leaves) // rows
        name = quoted(alias.encode()) + b": "
        shape = array.shape[1:]
        members.append([name + inline(leaves[row * size : (row + 1) * size], shape) for row in range(rows)])
    return enclosed(b"[", [enclosed(b"{", row, b"}", 2) for row in zip(*members, strict=True)], b"]", 1)


def _columns(outputs: Mapping[str, Array]) -> bytes:
    if len(outputs) == 1:
        ((alias, array),) = outputs.items()
        return block(_leaves(alias, array, 1), array.shape, 1)
    members = [
        quoted(alias.encode()) + b": " + block(_leaves(alias, array, 2), array.shape, 2)
        for alias, array in outputs.items()
    ]
    return enclosed(b"{", members, b"}", 1)


def _leaves(alias: str, array: Array, depth: int) -> list[bytes]:
    """The texts of an array's values; `depth` counts the objects and arrays around it without its own dimensions."""
    if not array.size:
        return []
    if array.dtype != object:
        _check(array)
        return number_texts.compact(array.reshape(-1))[1:-1].split(b",")
    strings = array.ravel().tolist()
    if not alias.endswith(_BASE64_SUFFIX):
        return [quoted(string) for string in strings]
    level = depth + array.ndim
    return [enclosed(b"{", [b'"b64": ' + quoted(encode_base64(string))], b"}", level) for string in strings]


def _check(array: Array) -> None:
    name = dtypes.of_array(array).name
    if name not in _NUMBERS:
        raise InvalidArgument(f"Failed to write JSON value for tensor type: {name}")
