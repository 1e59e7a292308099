"""Output arrays → the body of a Predict answer, as TensorFlow Serving lays it out.

Rows go to `predictions`, whole tensors to `outputs`. A single output stands there without its name. Strings are
written as raw bytes, or as base64 objects where the output's alias ends with `_bytes`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from modelport import dtypes
from modelport.errors import InvalidArgument
from modelport_serving.rest.json import number_texts
from modelport_serving.rest.json.layout import INDENT, Marks, block, enclosed, inline, nested
from modelport_serving.rest.json.strings import encode_base64, quoted
from modelport_serving.rest.json.tensor_values import INTEGER_RANGES, Array

_NUMBERS = frozenset(("float", "double", "bool", *INTEGER_RANGES))
_BASE64_SUFFIX = "_bytes"


def encode_predictions(outputs: Mapping[str, Array], row_format: bool) -> list[bytes]:
    """Write the body of an answer, in pieces: a long one is not put together before it is sent.

    Args:
        outputs: array by alias; strings as object arrays of bytes.
        row_format: whether the request came as rows; then every output needs the same first dimension.

    Raises:
        InvalidArgument: no outputs, a dtype that JSON cannot carry, or, in row format, scalars or unequal batches.
    """
    if not outputs:
        raise InvalidArgument("Cannot convert empty tensor map to JSON")
    out = [b'{\n    "predictions": ' if row_format else b'{\n    "outputs": ']
    if not row_format:
        _columns(outputs, out)
    elif not _batch_size(outputs):
        out.append(b"[]")
    elif len(outputs) > 1:
        _named_rows(outputs, out)
    else:
        ((alias, array),) = outputs.items()
        _write(alias, array, 1, inline, out)
        out[-1] = b"\n" + INDENT + b"]"
    out.append(b"\n}")
    return out


def _batch_size(outputs: Mapping[str, Array]) -> int:
    size = None
    for alias, array in outputs.items():
        if not array.ndim:
            raise InvalidArgument(f"Tensor name: {alias} has no shape information ")
        if size is not None and size != len(array):
            raise InvalidArgument(f"Tensor name: {alias} has inconsistent batch size: {len(array)} expecting: {size}")
        size = len(array)
    return size or 0


def _named_rows(outputs: Mapping[str, Array], out: list[bytes]) -> None:
    """An object a row, with a member for each output."""
    members = [_members(alias, array) for alias, array in outputs.items()]
    for index, row in enumerate(zip(*members, strict=True)):
        out.append(b",\n        " if index else b"[\n        ")
        out.append(enclosed(b"{", row, b"}", 2))
    out.append(b"\n    ]")


def _members(alias: str, array: Array) -> Iterator[bytes]:
    """An output's name and value, for each row."""
    name = quoted(alias.encode()) + b": "
    if _is_of_numbers(array):
        for text in number_texts.rows(array, inline):
            yield name + text
        return
    texts = iter(_leaves(alias, array, 2))
    for _ in range(len(array)):
        value: list[bytes] = [name]
        nested(texts, array.shape[1:], inline, value)
        yield b"".join(value)


def _columns(outputs: Mapping[str, Array], out: list[bytes]) -> None:
    """Whole tensors, a value a line."""
    if len(outputs) == 1:
        ((alias, array),) = outputs.items()
        _write(alias, array, 1, block(1), out)
        return
    for index, (alias, array) in enumerate(outputs.items()):
        out.append((b",\n        " if index else b"{\n        ") + quoted(alias.encode()) + b": ")
        _write(alias, array, 2, block(2), out)
    out.append(b"\n    }")


def _write(alias: str, array: Array, depth: int, marks: Marks, out: list[bytes]) -> None:
    """An array, inside `depth` arrays and objects."""
    if not _is_of_numbers(array):
        nested(iter(_leaves(alias, array, depth)), array.shape, marks, out)
    elif array.ndim:
        number_texts.write(array, marks, out)
    else:
        out += number_texts.rows(array.reshape(1), inline)


def _is_of_numbers(array: Array) -> bool:
    """Whether there are numbers to write; otherwise strings, or nothing.

    Raises:
        InvalidArgument: a dtype that JSON cannot carry.
    """
    if array.dtype == object or not array.size:
        return False
    name = dtypes.of_array(array).name
    if name not in _NUMBERS:
        raise InvalidArgument(f"Failed to write JSON value for tensor type: {name}")
    return True


def _leaves(alias: str, array: Array, depth: int) -> list[bytes]:
    """The texts of strings; none of an empty array."""
    strings = array.ravel().tolist()
    if not alias.endswith(_BASE64_SUFFIX):
        return [quoted(string) for string in strings]
    level = depth + array.ndim
    return [enclosed(b"{", [b'"b64": ' + quoted(encode_base64(string))], b"}", level) for string in strings]
