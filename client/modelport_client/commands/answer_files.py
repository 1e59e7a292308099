"""Files of answers, written as they come; the file is there once all of them are.

Each output is written in one way, whatever its values are: strings are text where they are UTF-8, those of an output
whose name ends in `_bytes` are bytes. Types that only machine learning knows become the next wider one.
"""

from __future__ import annotations

import base64
import csv
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from modelport.errors import FailedPrecondition, InvalidArgument, from_os_error
from modelport_client.prediction import BYTES_SUFFIX, Array, Prediction

KINDS = ".csv, .jsonl, .npz, .parquet"
_NAMES = "file"  # the column of the names of rows

Write = Callable[[Prediction, "Sequence[str] | None"], None]
"""Adds the rows of an answer, with the names of the rows where they have some."""


@contextmanager
def writing(path: Path) -> Iterator[Write]:
    """Within, answers are written beside the file; after it they are the file. After an error there is no new file.

    Raises:
        InvalidArgument: the file's ending is none of those known.
        NotFound, PermissionDenied, ResourceExhausted: it cannot be written.
        FailedPrecondition: answers that the file cannot carry.
    """
    if path.suffix not in _WRITERS:
        raise InvalidArgument(
            f"Expected a file of answers that ends in one of {KINDS}. Received: {str(path)!r}; --only NAME picks "
            "an output"
        )
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.touch()  # whether it can be written is known before anything is asked
        with _WRITERS[path.suffix](beside) as write:
            yield write
        beside.replace(path)
    except OSError as error:
        raise from_os_error(error, "write the answers", path) from error
    finally:
        beside.unlink(missing_ok=True)


def plain(array: Array) -> Any:
    """Nested lists for JSON; bytes that are no text as the API's {"b64": …}."""
    return _texts(array.tolist(), is_bytes=False) if array.dtype == object else _portable(array).tolist()


def _portable(array: Array) -> Array:
    """The array in a dtype that numpy itself has: ml_dtypes' floats as float32, its integers as int8 or uint8."""
    if array.dtype.kind != "V":
        return array
    name = array.dtype.name
    return array.astype(np.float32 if "float" in name else np.uint8 if name.startswith("u") else np.int8)


def _refuse_complex(answer: Prediction, what: str) -> None:
    wrong = [name for name, array in answer.raw.items() if array.dtype.kind == "c"]
    if wrong:
        raise FailedPrecondition(
            f"Expected outputs that {what} can carry. Received complex numbers in {wrong}. Use .npz."
        )


def _texts(value: Any, *, is_bytes: bool) -> Any:
    if isinstance(value, list):
        return [_texts(item, is_bytes=is_bytes) for item in value]
    if not isinstance(value, bytes):
        return value
    try:
        if not is_bytes:
            return value.decode()
    except UnicodeDecodeError:
        pass
    return {"b64": base64.b64encode(value).decode()}


def _rows(answer: Prediction, names: Sequence[str] | None, what: str) -> dict[str, list[Any]]:
    """Output -> a value for each row, for JSON."""
    _refuse_complex(answer, what)
    rows: dict[str, list[Any]] = _named(answer, names)
    for name, array in answer.raw.items():
        values = array.tolist() if array.dtype == object else _portable(array).tolist()
        rows[name] = _texts(values, is_bytes=name.endswith(BYTES_SUFFIX))
    return rows


def _named(answer: Prediction, names: Sequence[str] | None) -> dict[str, Any]:
    if answer.rows is None:
        shapes = {name: list(array.shape) for name, array in answer.items()}
        raise FailedPrecondition(f"Expected outputs with one value for each row. Received the shapes {shapes}")
    if names is not None and _NAMES in answer.raw:
        raise FailedPrecondition(
            f"Expected outputs beside the column {_NAMES!r}. Received one of that name; use --only."
        )
    return {} if names is None else {_NAMES: list(names)}


@contextmanager
def _csv(path: Path) -> Iterator[Write]:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        header: list[str] = []

        def write(answer: Prediction, names: Sequence[str] | None) -> None:
            columns: dict[str, list[Any]] = {}
            for name, values in _rows(answer, names, "CSV").items():
                if name in answer.raw and answer.raw[name].ndim == 2:
                    width = answer.raw[name].shape[1]
                    columns |= {f"{name}_{place}": [row[place] for row in values] for place in range(width)}
                else:
                    columns[name] = values
            if not header:
                header.extend(columns)
                writer.writerow(header)
            if list(columns) != header:
                raise FailedPrecondition(f"Expected the columns {header} in all answers. Received: {list(columns)}")
            writer.writerows(zip(*(map(_cell, values) for values in columns.values()), strict=True))

        yield write


def _cell(value: Any) -> Any:
    """Single values as they are; arrays and bytes as JSON."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value


@contextmanager
def _jsonl(path: Path) -> Iterator[Write]:
    with path.open("w", encoding="utf-8") as file:

        def write(answer: Prediction, names: Sequence[str] | None) -> None:
            rows = _rows(answer, names, "JSON")
            for row in zip(*rows.values(), strict=True):
                file.write(json.dumps(dict(zip(rows, row, strict=True)), ensure_ascii=False) + "\n")

        yield write


@contextmanager
def _npz(path: Path) -> Iterator[Write]:
    parts: dict[str, list[Array]] = {}

    def write(answer: Prediction, names: Sequence[str] | None) -> None:
        for name, values in _named(answer, names).items():
            parts.setdefault(name, []).append(np.array(values))
        for name, array in answer.raw.items():
            parts.setdefault(name, []).append(_of_strings(name, array) if array.dtype == object else _portable(array))

    yield write
    try:
        arrays = {name: np.concatenate(several) for name, several in parts.items()}
    except ValueError as error:
        raise FailedPrecondition(f"Expected rows of one shape in all answers. Received others: {error}") from error
    with path.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]  # numpy types its own options, not the arrays


def _of_strings(name: str, array: Array) -> Array:
    """Strings in numpy's own types, which cut zeros at the end."""
    items = array.ravel().tolist()
    if any(item.endswith(b"\0") for item in items):
        raise FailedPrecondition(f"Expected strings without a zero byte at the end in {name!r}, for .npz. Use .jsonl.")
    if name.endswith(BYTES_SUFFIX):
        return np.array(items, bytes).reshape(array.shape)
    return np.array([_decoded(item, name, ".npz") for item in items], str).reshape(array.shape)


def _decoded(item: bytes, name: str, what: str) -> str:
    try:
        return item.decode()
    except UnicodeDecodeError as error:
        raise FailedPrecondition(
            f"Expected text in the output {name!r}, for {what}. Received bytes that are no UTF-8. Use .jsonl."
        ) from error


@contextmanager
def _parquet(path: Path) -> Iterator[Write]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ModuleNotFoundError as error:
        raise FailedPrecondition("Expected pyarrow for Parquet. Run: pip install pyarrow") from error
    writers: list[Any] = []

    def write(answer: Prediction, names: Sequence[str] | None) -> None:
        _refuse_complex(answer, "Parquet")
        columns: dict[str, Any] = dict(_named(answer, names))
        for name, array in answer.raw.items():
            portable = _portable(array)
            if array.ndim == 2 and array.dtype != object:
                columns |= {f"{name}_{place}": portable[:, place] for place in range(array.shape[1])}
            elif array.dtype == object:
                columns[name] = _strings(array.tolist(), name)
            else:
                columns[name] = portable if array.ndim == 1 else portable.tolist()
        table = pyarrow.table(columns)
        if not writers:
            writers.append(parquet.ParquetWriter(path, table.schema))
        try:
            writers[0].write_table(table)
        except ValueError as error:
            raise FailedPrecondition(f"Expected rows of one shape in all answers. Received others: {error}") from error

    try:
        yield write
        if not writers:
            parquet.write_table(pyarrow.table({}), path)
    finally:
        for writer in writers:
            writer.close()


def _strings(value: Any, name: str) -> Any:
    if isinstance(value, list):
        return [_strings(item, name) for item in value]
    return value if name.endswith(BYTES_SUFFIX) else _decoded(value, name, "Parquet")


_WRITERS = {".csv": _csv, ".jsonl": _jsonl, ".npz": _npz, ".parquet": _parquet}
