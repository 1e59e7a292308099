"""Files of rows as batches of inputs: values take the dtypes of the signature, and nothing is guessed from them."""

from __future__ import annotations

import argparse
import csv
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from modelport.dtypes import Layout
from modelport.errors import FailedPrecondition, InvalidArgument, from_os_error
from modelport_client.client import Client
from modelport_client.inputs import frames, pictures
from modelport_client.inputs.arrays import signature_for
from modelport_client.results import SignatureSpec, TensorSpec

KINDS = ".csv, .jsonl, .npz, .parquet"
_LONGEST_CELL = 1 << 30  # bytes: a text; the default of 128 KiB is an article
_TRUTHS = {"true": True, "false": False, "1": True, "0": False}


@dataclass(frozen=True)
class Batch:
    """Some rows: their inputs, their number, and for files of a folder the names."""

    inputs: Any
    rows: int
    names: list[str] | None = None


@dataclass(frozen=True)
class Wanted:
    """Who is asked: the version that is meant now, and its signature."""

    version: int
    name: str
    signature: SignatureSpec


def is_file(text: str) -> bool:
    """Whether an input is the name of a file of rows, by its ending, or of a folder; otherwise it is JSON."""
    try:
        return Path(text).suffix in KINDS.split(", ") or Path(text).is_dir()
    except (OSError, ValueError):  # too long for a name, or with zeros in it: JSON
        return False


def wanted(client: Client, options: argparse.Namespace) -> Wanted:
    """What the options ask for, as the server has it now."""
    metadata = client.metadata(options.model, version=options.version, label=options.label)
    inputs: Any = [b""] if options.input is not None and Path(options.input).is_dir() else {}
    name, signature = signature_for(inputs, options.signature or "", metadata)
    return Wanted(metadata.version, name, signature)


def read_all(path: Path, of: Wanted) -> tuple[Any, list[str] | None]:
    """All rows of a file, and the names of a folder's."""
    (batch,) = list(read(path, of, 2**62)[0]) or [Batch({}, 0)]
    return batch.inputs, batch.names


def read(path: Path, of: Wanted, batch_rows: int) -> tuple[Iterator[Batch], int | None]:
    """The batches of a file, read as they are asked for, and how many rows there are where the file says so.

    Raises:
        InvalidArgument: a value or a file that is not as it should be; the text names the file, the row and the column.
        NotFound, PermissionDenied: the file cannot be read.
    """
    if path.is_dir():
        files = pictures.files_of(path)
        return _pictures(files, batch_rows), len(files)
    reader: Callable[[Path, SignatureSpec, int], tuple[Iterator[Batch], int | None]] = {
        ".csv": _csv,
        ".jsonl": _jsonl,
        ".npz": _npz,
        ".parquet": _parquet,
    }[path.suffix]
    try:
        path.open("rb").close()
    except OSError as error:
        raise from_os_error(error, "read the rows", path) from error
    return reader(path, of.signature, batch_rows)


def _pictures(files: list[Path], batch_rows: int) -> Iterator[Batch]:
    for begin in range(0, len(files), batch_rows):
        some = files[begin : begin + batch_rows]
        yield Batch([pictures.read_image(path) for path in some], len(some), [path.name for path in some])


def _csv(path: Path, signature: SignatureSpec, batch_rows: int) -> tuple[Iterator[Batch], int | None]:
    def batches() -> Iterator[Batch]:
        csv.field_size_limit(_LONGEST_CELL)
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True)
            try:
                header = next(reader, [])
                columns = _columns(header, signature, path)
                # The line in which a row ends; blank lines are none.
                numbered = ((reader.line_num, row) for row in reader if row)
                while some := list(islice(numbered, batch_rows)):
                    lines, rows = zip(*some, strict=True)
                    yield Batch(_typed(rows, lines, header, columns, path), len(rows))
            except (csv.Error, UnicodeDecodeError) as error:
                raise InvalidArgument(
                    f"Expected CSV in UTF-8 at {path}, line {reader.line_num}. Received: {error}"
                ) from error

    return batches(), None


def _columns(header: list[str], signature: SignatureSpec, path: Path) -> dict[str, tuple[str, TensorSpec]]:
    """Column -> the input whose value it is, or a part of; columns of a CSV are single values."""
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice or not header:
        raise InvalidArgument(f"Expected columns with names of their own in {path}. Received: {twice or 'no header'}")
    if len(signature.inputs) == 1:
        ((name, spec),) = signature.inputs.items()
        if name not in header and spec.shape is not None and len(spec.shape) == 2:
            return dict.fromkeys(header, (name, spec))
    missing = sorted(set(signature.inputs) - set(header) - signature.optional)
    if missing:
        raise InvalidArgument(
            f"Expected a column for each input, {sorted(signature.inputs)}, in {path}. Received none for {missing}: "
            f"{header}"
        )
    found = {name: (name, spec) for name, spec in signature.inputs.items() if name in header}
    for name, (_, spec) in found.items():
        if spec.shape is not None and len(spec.shape) > 1 and spec.shape[1:] != (1,):
            raise InvalidArgument(
                f"Expected single values for the columns of a CSV; the input {name!r} is {spec}. Use .npz, .jsonl or "
                ".parquet"
            )
    return found


def _typed(
    rows: Sequence[list[str]],
    lines: Sequence[int],
    header: list[str],
    columns: Mapping[str, tuple[str, TensorSpec]],
    path: Path,
) -> dict[str, Any]:
    for line, row in zip(lines, rows, strict=True):
        if len(row) != len(header):
            raise InvalidArgument(f"Expected {len(header)} values in line {line} of {path}. Received: {len(row)}")
    values: dict[str, Any] = {}
    for column, (name, spec) in columns.items():
        place = header.index(column)
        read = _reader(spec)
        typed = []
        for line, row in zip(lines, rows, strict=True):
            try:
                typed.append(read(row[place]))
            except (ValueError, KeyError) as error:
                kind = spec.dtype.name if spec.dtype else "unknown"
                raise InvalidArgument(
                    f"Expected a value of type {kind} in line {line} of {path}, column {column!r}. Received: "
                    f"{row[place]!r}"
                ) from error
        values.setdefault(name, []).append(typed)
    whole = {}
    for name, parts in values.items():
        is_matrix = name not in header
        whole[name] = np.array(parts, object if isinstance(parts[0][0], str) else None).T if is_matrix else parts[0]
    return whole


def _reader(spec: TensorSpec) -> Callable[[str], Any]:
    if spec.dtype is None or spec.dtype.layout is Layout.STRING:
        return str
    if spec.dtype.name == "bool":
        return lambda text: _TRUTHS[text.strip().lower()]
    return _integer if spec.dtype.numpy.kind in "iu" else _number


def _integer(text: str) -> int:
    return int(_ascii(text))


def _number(text: str) -> float:
    return float(_ascii(text))


def _ascii(text: str) -> str:
    """A number as every program writes it; Python reads 1_000 and other scripts' digits, too."""
    if not text.isascii() or "_" in text:
        raise ValueError(text)
    return text


def _jsonl(path: Path, signature: SignatureSpec, batch_rows: int) -> tuple[Iterator[Batch], int | None]:
    def batches() -> Iterator[Batch]:
        with path.open("rb") as file:
            line = 0
            while some := list(islice(file, batch_rows)):
                rows = []
                for text in some:
                    line += 1
                    try:
                        rows.append(json.loads(text))
                    except ValueError as error:
                        raise InvalidArgument(f"Expected JSON in line {line} of {path}. Received: {error}") from error
                yield Batch(_picked(rows, signature, path, line - len(rows) + 1), len(rows))

    return batches(), None


def _picked(rows: list[Any], signature: SignatureSpec, path: Path, line: int) -> Any:
    if not isinstance(rows[0], Mapping):
        return rows
    try:
        columns = frames.columns_of_rows(rows)
    except InvalidArgument as error:
        raise InvalidArgument(f"In {path}, from line {line}: {error.message}") from error
    return _only_inputs(columns, signature) if set(columns) & set(signature.inputs) else rows


def _npz(path: Path, signature: SignatureSpec, batch_rows: int) -> tuple[Iterator[Batch], int | None]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = _only_inputs(dict(archive), signature)
    except (ValueError, TypeError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise InvalidArgument(f"Expected arrays without Python objects in {path}. Received: {error}") from error
    counts = {name: len(array) if array.ndim else None for name, array in arrays.items()}
    count = next(iter(counts.values()), None)
    if count is None or len(set(counts.values())) > 1:
        raise InvalidArgument(f"Expected arrays with one number of rows in {path}. Received: {counts}")

    def batches() -> Iterator[Batch]:
        for begin in range(0, count, batch_rows):
            some = {name: array[begin : begin + batch_rows] for name, array in arrays.items()}
            yield Batch(some, len(next(iter(some.values()))))

    return batches(), count


def _parquet(path: Path, signature: SignatureSpec, batch_rows: int) -> tuple[Iterator[Batch], int | None]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ModuleNotFoundError as error:
        raise FailedPrecondition("Expected pyarrow for Parquet. Run: pip install pyarrow") from error
    try:
        file = parquet.ParquetFile(path)
    except (pyarrow.ArrowException, OSError) as error:
        raise InvalidArgument(f"Expected Parquet in {path}. Received: {error}") from error

    def batches() -> Iterator[Batch]:
        with file:
            try:
                for some in file.iter_batches(min(batch_rows, max(1, file.metadata.num_rows))):
                    table = pyarrow.Table.from_batches([some])
                    yield Batch(_frame_of(table, signature), some.num_rows)
            except (pyarrow.ArrowException, OSError) as error:
                raise InvalidArgument(f"Expected Parquet in {path}. Received: {error}") from error

    return batches(), file.metadata.num_rows


def _frame_of(table: Any, signature: SignatureSpec) -> Any:
    if len(signature.inputs) == 1 and not set(signature.inputs) & set(table.column_names):
        return table
    return frames.columns_of_frame(table.select([name for name in table.column_names if name in signature.inputs]))


def _only_inputs(columns: dict[str, Any], signature: SignatureSpec) -> dict[str, Any]:
    """Those of the signature; others of a file, such as the target, are not sent. All where none is."""
    picked = {name: values for name, values in columns.items() if name in signature.inputs}
    return picked or columns
