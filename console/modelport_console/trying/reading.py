"""What was typed, pasted, read from a file or drawn, as what a client sends.

Rules, the same for all: JSON is JSON; several lines, or cells with tabs between, are a table as spreadsheets copy it, a
row a line; a number alone is a number; whatever is typed for an input of text is the text, a line a row.
"""

from __future__ import annotations

import base64
import binascii
import csv
import io
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from modelport.dtypes import Layout
from modelport.errors import InvalidArgument
from modelport_client import SignatureSpec, TensorSpec

MOST_VALUES = 4_000_000  # of one input: what a page can show being asked for at all


class FieldError(InvalidArgument):
    """A field that is wrong; `field` is the input's name."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def read(signature: SignatureSpec, given: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs of a request.

    Args:
        signature: what is asked for.
        given: input → {"text": …} as typed or pasted, {"b64": […]} of files, {"file": text, "name": …}, {"pixels": …}.

    Raises:
        FieldError: a field that cannot be read.
    """
    inputs: dict[str, Any] = {}
    for name, spec in signature.inputs.items():
        if name not in given:
            if name in signature.optional:
                continue
            raise FieldError(name, f"Expected a value for {name!r}: {spec}. Received: nothing.")
        inputs[name] = _value(name, spec, given[name])
    return inputs


def _value(name: str, spec: TensorSpec, given: Any) -> Any:
    if not isinstance(given, dict):
        raise FieldError(name, f"Expected an object for {name!r}. Received: {type(given).__name__}")
    if "b64" in given:
        return _rows_of_bytes(name, given["b64"])
    if "pixels" in given:
        return _pixels(name, spec, given["pixels"])
    text = given.get("text", "")
    if not isinstance(text, str):
        raise FieldError(name, f"Expected text for {name!r}. Received: {type(text).__name__}")
    if spec.dtype is not None and spec.dtype.layout is Layout.STRING:
        return _strings(name, spec, text)
    return _numbers(name, spec, text)


def _rows_of_bytes(name: str, files: Any) -> list[bytes]:
    try:
        return [base64.b64decode(one, validate=True) for one in files]
    except (TypeError, ValueError, binascii.Error) as error:
        raise FieldError(name, f"Expected files in base64 for {name!r}: {error}") from error


def _pixels(name: str, spec: TensorSpec, given: Any) -> Any:
    """Pixels of a drawing, flat, 0 to 255, with the factor that was chosen for them."""
    try:
        shape = [1 if size < 0 else size for size in spec.shape or ()]
        values = np.asarray(given["values"], np.uint8).reshape(shape)
        scale = float(given.get("scale", 1))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise FieldError(name, f"Expected pixels of {spec} for {name!r}: {error}") from error
    if spec.dtype is None:
        raise FieldError(name, f"{name!r} is of a type that cannot be sent.")
    return (values * scale).astype(spec.dtype.numpy) if scale != 1 else values.astype(spec.dtype.numpy)


def _strings(name: str, spec: TensorSpec, text: str) -> Any:
    if text.lstrip().startswith(("[", '"')):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            pass  # text that begins like JSON is text
    if spec.shape == ():
        return np.array(text, object)
    lines = text.split("\n")
    if len(spec.shape or (-1,)) > 1:
        return [line.split("\t") for line in lines if line]
    return lines


def _numbers(name: str, spec: TensorSpec, text: str) -> Any:
    stripped = text.strip()
    if not stripped:
        raise FieldError(name, f"Expected numbers for {name!r}: {spec}. Received: nothing.")
    if stripped.startswith(("[", "{")):
        try:
            value = json.loads(stripped)
        except (ValueError, RecursionError) as error:
            raise FieldError(name, f"Expected JSON for {name!r}. {error}") from error
        return _array(name, spec, value)
    rows = _table(name, stripped)
    if len(rows) == 1 and len(rows[0]) == 1:
        value = rows[0][0]
        return _array(name, spec, value if spec.shape == () else _deep(value, spec))
    rank = None if spec.shape is None else len(spec.shape)
    if rank == 1:  # a column or a row of a spreadsheet
        return _array(name, spec, [cell for row in rows for cell in row])
    if rank is not None and rank > 2 and spec.shape is not None:
        return _array(name, spec, rows, [1 if size < 0 else size for size in spec.shape])
    return _array(name, spec, rows)


def _table(name: str, text: str) -> list[list[Any]]:
    """Rows of cells: with tabs between them, else commas, else spaces."""
    lines = text.splitlines()
    if any("\t" in line for line in lines):
        cells = list(csv.reader(io.StringIO(text), delimiter="\t"))
    elif any("," in line for line in lines):
        cells = list(csv.reader(io.StringIO(text), skipinitialspace=True))
    else:
        cells = [line.split() for line in lines]
    found: list[list[Any]] = []
    for line, row in enumerate((row for row in cells if row), 1):
        found.append([_cell(name, line, place, one) for place, one in enumerate(row, 1)])
    return found


def _cell(name: str, line: int, place: int, text: str) -> Any:
    plain = text.strip()
    if plain.lower() in ("true", "false"):
        return plain.lower() == "true"
    for kind in (int, float):
        try:
            return kind(plain)
        except ValueError:
            continue
    raise FieldError(name, f"Expected a number for {name!r} in row {line}, column {place}. Received: {text[:40]!r}")


def _deep(value: Any, spec: TensorSpec) -> Any:
    """A number alone, as the one value of its row."""
    for _ in spec.shape or (-1,):
        value = [value]
    return value


def _array(name: str, spec: TensorSpec, value: Any, shape: list[int] | None = None) -> Any:
    try:
        array = np.asarray(value)
        if shape is not None:
            array = array.reshape(shape)
    except (ValueError, OverflowError) as error:
        raise FieldError(name, f"Expected {spec} for {name!r}: {error}") from error
    if array.dtype.kind not in "iufb":
        raise FieldError(name, f"Expected numbers of {spec} for {name!r}. Received: {str(value)[:60]}")
    if array.size > MOST_VALUES:
        raise FieldError(name, f"Expected at most {MOST_VALUES:,} values for {name!r}. Received: {array.size:,}")
    return array
