"""The files that tables come in: CSV, Parquet, lines of JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as arrow
from pyarrow import csv, parquet

from modelport.errors import DataLoss, InvalidArgument

_ROWS = 4096  # that are read at a time
_BLOCK = 2**22  # bytes of a CSV file that are read at a time

Block = tuple[int, Mapping[str, Any]]  # the number of the first row, counted as in the file; its columns, of Arrow


def blocks(path: Path) -> Iterator[Block]:
    """The rows of a table, some at a time.

    Raises:
        InvalidArgument: a row is none; the message names file and row.
        DataLoss: the file cannot be read to its end.
    """
    return {".csv": _csv, ".parquet": _parquet}.get(path.suffix, _lines)(path)


def _csv(path: Path) -> Iterator[Block]:
    """Blocks of a CSV file, every value as the text that it is."""
    row, wrong = 2, []  # the head is row 1

    def bad(one: Any) -> str:
        wrong.append(one)
        return "error"

    try:
        with path.open("rb") as file:
            head = csv.read_csv(arrow.BufferReader(file.readline()))  # its names
        names = head.column_names
        if doubles := {name for name in names if names.count(name) > 1}:
            raise InvalidArgument(f"{path}, row 1: the column {', '.join(doubles)} is there twice.")
        reader = csv.open_csv(
            path,
            read_options=csv.ReadOptions(block_size=_BLOCK, use_threads=False),
            parse_options=csv.ParseOptions(newlines_in_values=True, invalid_row_handler=bad),
            convert_options=csv.ConvertOptions(
                column_types=dict.fromkeys(names, arrow.string()),
                strings_can_be_null=True,
                null_values=[""],
            ),
        )
        for batch in reader:
            for table in (batch.slice(begin, _ROWS) for begin in range(0, batch.num_rows, _ROWS)):
                yield row, {name: table.column(name) for name in names}
                row += table.num_rows
    except arrow.ArrowInvalid as error:
        if wrong:
            one = wrong[0]
            at = one.number if one.number is not None else f"after {row}"
            raise InvalidArgument(
                f"{path}, row {at}: expected {one.expected_columns} values. Received: {one.actual_columns}: "
                f"{one.text[:100]!r}"
            ) from error
        why = " ".join(str(error).split())
        hint = " Save it as UTF-8." if "UTF8" in why else ""
        raise DataLoss(f"{path}: expected a CSV file with a head. Received: {why}.{hint}") from error


def _parquet(path: Path) -> Iterator[Block]:
    try:
        file = parquet.ParquetFile(path)
        for column in file.schema_arrow:
            kind = column.type
            if arrow.types.is_nested(kind) or arrow.types.is_binary(kind):
                raise InvalidArgument(f"{path}: the column {column.name!r} is {kind}, and neither number nor text.")
        row = 1
        for batch in file.iter_batches(_ROWS):
            yield row, {name: _plain(batch.column(name)) for name in batch.schema.names}
            row += batch.num_rows
    except (arrow.ArrowInvalid, OSError) as error:
        raise DataLoss(f"{path}: expected a Parquet file. Received: {' '.join(str(error).split())[:200]}") from error


def _plain(column: Any) -> Any:
    """Categories as their values, texts of all widths as one kind."""
    if arrow.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    is_text = arrow.types.is_large_string(column.type) or arrow.types.is_string_view(column.type)
    return column.cast(arrow.string()) if is_text else column


def _lines(path: Path) -> Iterator[Block]:
    """Blocks of lines of JSON, each an object; a field that is not there has no value."""
    names: dict[str, tuple[int, Any]] = {}  # with the first value of each
    rows: list[Mapping[str, Any]] = []
    first = 1
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                found = json.loads(line)
            except ValueError as error:
                raise InvalidArgument(f"{path}, row {number}: expected an object of JSON. Received: {error}") from error
            if not isinstance(found, dict) or any(isinstance(value, dict | list) for value in found.values()):
                raise InvalidArgument(
                    f"{path}, row {number}: expected an object of texts and numbers. Received: {line[:80]!r}"
                )
            for name, value in found.items():
                if value is None:
                    continue
                row, before = names.setdefault(name, (number, value))
                if _of_json(value) is not _of_json(before):
                    raise InvalidArgument(
                        f"{path}, row {number}: the field {name!r} is mixed: {value!r}, and in row {row} {before!r}."
                    )
            rows.append(found)
            if len(rows) == _ROWS:
                yield first, _columns(names, rows)
                rows, first = [], number + 1
    if rows:
        yield first, _columns(names, rows)


def _of_json(value: Any) -> type:
    return float if type(value) is int else type(value)


def _number(value: Any) -> Any:
    return float(value) if type(value) is int else value


def _columns(names: Mapping[str, tuple[int, Any]], rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    kinds = {float: arrow.float64(), bool: arrow.bool_(), str: arrow.string()}
    return {
        name: arrow.array([_number(row.get(name)) for row in rows], kinds[_of_json(value)])
        for name, (_, value) in names.items()
    }
