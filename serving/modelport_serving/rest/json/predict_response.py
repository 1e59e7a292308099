"""Output arrays → the body of a Predict answer, as TensorFlow Serving lays it out.

Rows go to `predictions`, whole tensors to `outputs`. A single output stands there without its name. Strings are
written as raw bytes, or as base64 objects where the output's alias ends with `_bytes`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

from modelport import dtypes
from modelport.errors import InvalidArgument
from modelport_serving.rest.json.layout import INDENT, block, enclosed, inline
from modelport_serving.rest.json.number_texts import row_texts
from modelport_serving.rest.json.strings import encode_base64, quoted
from modelport_serving.rest.json.tensor_values import INTEGER_RANGES, Array

_NUMBERS = frozenset(("float", "double", "bool", *INTEGER_RANGES))
_BASE64_SUFFIX = "_bytes"


def encode_predictions(outputs: Mapping[str, Array], row_format: bool) -> bytes:
    """Write the body of an answer.

    Args:
        outputs: array by alias; strings as object arrays of bytes.
        row_format: whether the request came as rows; then every output needs the same first dimension.

    Raises:
        InvalidArgument: no outputs, a dtype that JSON cannot carry, or, in row format, scalars or unequal batches.
    """
    if not outputs:
        raise InvalidArgument("Cannot convert empty tensor map to JSON")
    if not row_format:
        return b'{\n    "outputs": ' + _columns(outputs) + b"\n}"
    rows = _batch_size(outputs)
    if not rows:
        text = b"[]"
    elif len(outputs) > 1:
        text = _named_rows(outputs)
    else:
        text = _plain_rows(*next(iter(outputs.items())))
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
    text = b"[" + b", ".join(_rows(alias, array, 1)) + b"]"
    return text[:-1] + b"\n" + INDENT + b"]"


def _named_rows(outputs: Mapping[str, Array]) -> bytes:
    members = []
    for alias, array in outputs.items():
        name = quoted(alias.encode()) + b": "
        members.append([name + text for text in _rows(alias, array, 2)])
    return enclosed(b"[", [enclosed(b"{", row, b"}", 2) for row in zip(*members, strict=True)], b"]", 1)


def _columns(outputs: Mapping[str, Array]) -> bytes:
    if len(outputs) == 1:
        ((alias, array),) = outputs.items()
        return _column(alias, array, 1)
    members = [quoted(alias.encode()) + b": " + _column(alias, array, 2) for alias, array in outputs.items()]
    return enclosed(b"{", members, b"}", 1)


def _rows(alias: str, array: Array, depth: int) -> Sequence[bytes]:
    """The text of each row of an array, on one line; `depth` counts the objects and arrays around the array."""
    inner = array.shape[1:]
    if array.dtype == object or not array.size:
        leaves, size = _leaves(alias, array, depth), prod(inner)
        return [inline(leaves[row * size : (row + 1) * size], inner) for row in range(len(array))]
    _check(array)
    if not inner:
        return next(row_texts(array)).split(b",")
    lines = [b"[" + text.replace(b",", b", ") + b"]" for text in row_texts(array)]
    if len(inner) == 1:
        return lines
    size = prod(inner[:-1])
    return [inline(lines[row * size : (row + 1) * size], inner[:-1]) for row in range(len(array))]


def _column(alias: str, array: Array, depth: int) -> bytes:
    """The text of a whole array, a value a line."""
    if array.dtype == object or not array.size:
        return block(_leaves(alias, array, depth), array.shape, depth)
    _check(array)
    if not array.ndim:
        return next(row_texts(array.reshape(1)))
    level = depth + array.ndim - 1
    begin, end = b"\n" + INDENT * (level + 1), b"\n" + INDENT * level + b"]"
    lines = [b"[" + begin + text.replace(b",", b"," + begin) + end for text in row_texts(array)]
    return block(lines, array.shape[:-1], depth)


def _leaves(alias: str, array: Array, depth: int) -> list[bytes]:
    """The texts of strings; none of an empty array."""
    strings = array.ravel().tolist()
    if not alias.endswith(_BASE64_SUFFIX):
        return [quoted(string) for string in strings]
    level = depth + array.ndim
    return [enclosed(b"{", [b'"b64": ' + quoted(encode_base64(string))], b"}", level) for string in strings]


def _check(array: Array) -> None:
    name = dtypes.of_array(array).name
    if name not in _NUMBERS:
        raise InvalidArgument(f"Failed to write JSON value for tensor type: {name}")
