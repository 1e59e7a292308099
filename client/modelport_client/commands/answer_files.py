"""Files of answers, written as they come; the file is there once all of them are."""

from __future__ import annotations

import base64
import csv
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from modelport.errors import FailedPrecondition, InvalidArgument, from_os_error
from modelport_client.prediction import Array, Prediction

KINDS = ".csv, .jsonl, .npz, .parquet"

Write = Callable[[Prediction, "Sequence[str] | None"], None]
"""Adds the rows of an answer, with the names of the rows where they have some."""


@contextmanager
def writing(path: Path) -> Iterator[Write]:
    """Within, answers are written beside the file; after it they are the file. After an error there is no new file.

    Raises:
        InvalidArgument: the file's ending is none of those known.
        NotFound, PermissionDenied, ResourceExhausted: it cannot be written.
    """
    if path.suffix not in _WRITERS:
        raise InvalidArgument(
            f"Expected a file of answers that ends in one of {KINDS}. Received: {str(path)!r}; --only NAME picks "
            "an output"
        )
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with _WRITERS[path.suffix](beside) as write:
            yield write
        beside.replace(path)
    except OSError as error:
        raise from_os_error(error, "write the answers", path) from error
    finally:
        beside.unlink(missing_ok=True)


def plain(array: Array) -> Any:
    """Nested lists for JSON; bytes that are no text as the API's {"b64": …}."""
    return _plain(array.tolist()) if array.dtype == object else _numbers(array)


def _numbers(array: Array) -> Any:
    return array.tolist() if array.dtype.kind != "V" else array.astype(np.float32).tolist()


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return {"b64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def _columns(answer: Prediction, names: Sequence[str] | None) -> dict[str, Any]:
    return {**({} if names is None else {"file": np.array(names, object)}), **answer.columns()}


@contextmanager
def _csv(path: Path) -> Iterator[Write]:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        header: list[str] = []

        def write(answer: Prediction, names: Sequence[str] | None) -> None:
            columns = _columns(answer, names)
            if not header:
                header.extend(columns)
                writer.writerow(header)
            _refuse_others(header, columns)
            writer.writerows(zip(*(map(_cell, plain(values)) for values in columns.values()), strict=True))

        yield write


def _cell(value: Any) -> Any:
    """Single values as they are; arrays and bytes as JSON."""
    return json.dumps(value) if isinstance(value, list | dict) else value


@contextmanager
def _jsonl(path: Path) -> Iterator[Write]:
    with path.open("w", encoding="utf-8") as file:

        def write(answer: Prediction, names: Sequence[str] | None) -> None:
            answer.columns()  # refuses outputs without rows
            values = {name: plain(array) for name, array in answer.items()}
            if names is not None:
                values = {"file": list(names), **values}
            for row in zip(*values.values(), strict=True):
                file.write(json.dumps(dict(zip(values, row, strict=True)), ensure_ascii=False) + "\n")

        yield write


@contextmanager
def _npz(path: Path) -> Iterator[Write]:
    parts: dict[str, list[Array]] = {}

    def write(answer: Prediction, names: Sequence[str] | None) -> None:
        answer.columns()  # refuses outputs without rows
        for name, array in answer.items():
            parts.setdefault(name, []).append(array)
        if names is not None:
            parts.setdefault("file", []).append(np.array(names, object))

    yield write
    arrays = {name: np.concatenate(several) for name, several in parts.items()}
    with path.open("wb") as file:
        np.savez(file, **{name: _without_objects(array) for name, array in arrays.items()})  # type: ignore[arg-type]


def _without_objects(array: Array) -> Array:
    if array.dtype != object:
        return array
    is_text = all(isinstance(item, str) for item in array.ravel().tolist())
    return array.astype(str) if is_text else array.astype(bytes)


@contextmanager
def _parquet(path: Path) -> Iterator[Write]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ModuleNotFoundError as error:
        raise FailedPrecondition("Expected pyarrow for Parquet. Run: pip install pyarrow") from error
    writers: list[Any] = []

    def write(answer: Prediction, names: Sequence[str] | None) -> None:
        columns = {name: _arrow(pyarrow, values) for name, values in _columns(answer, names).items()}
        table = pyarrow.table(columns)
        if not writers:
            writers.append(parquet.ParquetWriter(path, table.schema))
        writers[0].write_table(table)

    try:
        yield write
        if not writers:
            parquet.write_table(pyarrow.table({}), path)
    finally:
        for writer in writers:
            writer.close()


def _arrow(pyarrow: Any, values: Array) -> Any:
    is_nested = values.dtype == object and len(values) and isinstance(values[0], np.ndarray)
    return pyarrow.array([item.tolist() for item in values] if is_nested else values)


def _refuse_others(header: Sequence[str], columns: Mapping[str, Any]) -> None:
    if list(columns) != list(header):
        raise FailedPrecondition(f"Expected the columns {list(header)} in all answers. Received: {list(columns)}")


_WRITERS = {".csv": _csv, ".jsonl": _jsonl, ".npz": _npz, ".parquet": _parquet}
