"""The body of a Predict request → named arrays, in TensorFlow Serving's order of checks and with its error texts.

Row format (`instances`): one element a row, each the input itself or an object of all inputs. Columnar format
(`inputs`): the one input, or an object of whole tensors. The dtypes are the signature's; shapes are not compared with
it, the model's operations decide.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modelport import dtypes
from modelport.errors import InvalidArgument, ModelportError
from modelport_serving.rest.json.discarding import discard
from modelport_serving.rest.json.document import Document
from modelport_serving.rest.json.dump import dump, value_error
from modelport_serving.rest.json.numeric_runs import Run, array_of
from modelport_serving.rest.json.strings import is_base64_object
from modelport_serving.rest.json.tensor_values import Array, flatten, shape_of, shape_text, tensor, to_array

_ROWS, _COLUMNS = b"instances", b"inputs"
_LONG = 2**20  # bytes of a body whose values are freed a few at a time
_USED = {_ROWS, _COLUMNS, b"signature_name"}


@dataclass(frozen=True, slots=True)
class PredictBody:
    """Arrays by alias, ready to feed; `row_format` says how the answer is to be written."""

    inputs: dict[str, Array]
    row_format: bool


def decode_predict(document: Document, signature: str, inputs: Mapping[str, int]) -> PredictBody:
    """Read the inputs of a signature.

    Args:
        document: the parsed body.
        signature: name for error texts.
        inputs: alias → TensorFlow DataType number.

    Returns:
        An array for each alias; strings as object arrays of bytes. In row format the first dimension is the row. The
        document is used up.

    Raises:
        InvalidArgument: the body does not fit the signature.
        Unimplemented: a column's dtype cannot be carried by JSON.
    """
    if not inputs:
        raise InvalidArgument(f"Failed to get input map for signature: {signature}")
    body = decode_usual(document, inputs)
    if body is not None:
        return body
    members = document.plain()
    try:
        return _decode(members, inputs)
    finally:
        if len(document.body) > _LONG:
            discard(members)


def _decode(members: dict[bytes, Any], inputs: Mapping[str, int]) -> PredictBody:
    if _ROWS in members and _COLUMNS in members:
        raise value_error(
            members, "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist "
        )
    if _ROWS in members:
        return PredictBody(_rows(members, inputs), row_format=True)
    if _COLUMNS in members:
        return PredictBody(_columns(members[_COLUMNS], inputs), row_format=False)
    raise InvalidArgument("Missing 'inputs' or 'instances' key")


def decode_usual(document: Document, inputs: Mapping[str, int]) -> PredictBody | None:
    """The usual request, without a look at each number; None where `decode_predict` has to take its time."""
    members = document.members
    if not document.has_runs or (_ROWS in members) == (_COLUMNS in members) or not members.keys() <= _USED:
        return None
    row_format = _ROWS in members
    value = members[_ROWS if row_format else _COLUMNS]
    arrays: dict[str, Array | None]
    if isinstance(value, Run):
        if len(inputs) != 1:
            return None
        arrays = {alias: _whole(value, dtype) for alias, dtype in inputs.items()}
    elif row_format:
        arrays = _named_row_runs(value, inputs)
    elif isinstance(value, dict) and len(value) == len(inputs):
        arrays = {alias: _whole(value.get(alias.encode()), dtype) for alias, dtype in inputs.items()}
    else:
        return None
    found = {alias: array for alias, array in arrays.items() if array is not None}
    return PredictBody(found, row_format) if len(found) == len(inputs) else None


def _whole(run: Any, dtype: int) -> Array | None:
    array = array_of([run], dtype) if isinstance(run, Run) else None
    return None if array is None else array[0]


def _named_row_runs(rows: Any, inputs: Mapping[str, int]) -> dict[str, Array | None]:
    """The arrays of rows that are objects whose every value is a run; empty when one is not."""
    if not isinstance(rows, list) or not all(isinstance(row, dict) and len(row) == len(inputs) for row in rows):
        return {}
    arrays: dict[str, Array | None] = {}
    for alias, dtype in inputs.items():
        name = alias.encode()
        runs = [run for row in rows if isinstance(run := row.get(name), Run)]
        if not runs or len(runs) != len(rows):
            return {}
        arrays[alias] = array_of(runs, dtype)
    return arrays


def _columns(value: Any, inputs: Mapping[str, int]) -> dict[str, Array]:
    if not isinstance(value, dict) or is_base64_object(value):
        if len(inputs) > 1:
            raise InvalidArgument(
                "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
                "tensorinfo_map"
            )
        return {alias: tensor(value, dtype) for alias, dtype in inputs.items()}
    arrays = {}
    for alias, dtype in inputs.items():
        name = alias.encode()
        if name not in value:
            raise InvalidArgument(f"Missing named input: {alias} in 'inputs' object.")
        arrays[alias] = tensor(value[name], dtype)
    return arrays


def _rows(members: dict[bytes, Any], inputs: Mapping[str, int]) -> dict[str, Array]:
    rows = members[_ROWS]
    if not isinstance(rows, list):
        raise value_error(members, "Expecting 'instances' to be an list/array")
    if not rows:
        raise value_error(members, "No values in 'instances' array")
    stacks = {alias.encode(): _Stack(dtype) for alias, dtype in inputs.items()}
    if _is_named(rows[0]):
        for index, row in enumerate(rows):
            if not _is_named(row):
                raise InvalidArgument(f"Expecting object but got list at item {index} of input list")
            _push_named(stacks, index, row)
    elif len(stacks) > 1:
        raise InvalidArgument(
            "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
            "tensorinfo_map"
        )
    else:
        (stack,) = stacks.values()
        for index, row in enumerate(rows):
            if _is_named(row):
                raise InvalidArgument(f"Expecting value/list but got object at item {index} of input list")
            _push(stack, row, f"{index}")
    return {alias: stacks[alias.encode()].array(len(rows)) for alias in inputs}


def _is_named(row: Any) -> bool:
    return isinstance(row, dict) and not is_base64_object(row)


def _push_named(stacks: dict[bytes, _Stack], index: int, row: dict[bytes, Any]) -> None:
    for key, value in row.items():
        name = key.decode("utf-8", "surrogateescape")
        stack = stacks.get(key)
        if stack is None:
            raise InvalidArgument(
                f"Failed to process element: {index} key: {name} of 'instances' list. "
                f"Error: INVALID_ARGUMENT: JSON object: does not have named input: {name}"
            )
        _push(stack, value, f"{index} key: {name}")
    if len(row) != len(stacks):
        expected = b",".join(sorted(stacks)).decode()
        raise InvalidArgument(
            f"Failed to process element: {index} of 'instances' list. JSON object: {dump(row)} keys must be equal "
            f"to: {expected}"
        )


def _push(stack: _Stack, value: Any, place: str) -> None:
    try:
        stack.push(value)
    except ModelportError as error:  # whatever its code: the real server makes it a text of this one
        raise InvalidArgument(
            f"Failed to process element: {place} of 'instances' list. Error: {error.code.name}: {error.message}"
        ) from error


class _Stack:
    """The rows of one input; all have the shape of the first."""

    def __init__(self, number: int) -> None:
        self._dtype = dtypes.by_number(number)
        self._flat: list[Any] = []
        self._shape: tuple[int, ...] | None = None
        self._size = 0

    def push(self, row: Any) -> None:
        shape = shape_of(row, rows=True)
        flat = flatten(row, shape, self._dtype)
        if self._shape is None:
            self._shape, self._size = shape, len(flat)
        elif len(flat) != self._size:
            raise InvalidArgument(f"Expecting tensor size: {self._size} but got: {len(flat)}")
        elif shape != self._shape:
            raise InvalidArgument(f"Expecting shape {shape_text(self._shape)} but got: {shape_text(shape)}")
        self._flat += flat

    def array(self, rows: int) -> Array:
        return to_array(self._flat, (rows, *(self._shape or ())), self._dtype)
