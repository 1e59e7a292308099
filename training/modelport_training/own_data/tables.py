"""Tables: CSV, Parquet and lines of JSON. The model takes the raw columns, numbers and text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as arrow

from modelport.errors import InvalidArgument
from modelport_training.datasets.dataset import Dataset
from modelport_training.datasets.examples import Examples, Stream
from modelport_training.own_data import memory
from modelport_training.own_data.columns import MOST_CLASSES, Column, as_numbers, as_texts
from modelport_training.own_data.formats import blocks
from modelport_training.own_data.options import DataOptions, digest, is_held_out

_LEAST_ROWS = 20  # one is held out then, and one decides when to stop


def load(options: DataOptions) -> Dataset:
    """Read a table, looking at every row.

    Raises:
        InvalidArgument: there is no such target, or a row is wrong; the message names file and row.
        DataLoss: the file cannot be read to its end.
    """
    path = options.path
    columns, rows = _look_at(options)
    if not rows:
        raise InvalidArgument(f"Expected {_LEAST_ROWS} rows or more in {str(path)!r}. Received: none.")
    if "" in columns:
        raise InvalidArgument(
            f"{path}: a column has no name, such as the index that pandas writes. Name it, or take it out "
            "(index=False)."
        )
    if len(columns) == 1 and (found := next((mark for mark in (";", "\t", "|") if mark in next(iter(columns))), None)):
        raise InvalidArgument(f"{path}: expected columns with commas between. Received: {found!r} between them.")
    if options.target is None or options.target not in columns:
        raise InvalidArgument(
            f"Expected --target as a column of {str(path)!r}: {', '.join(columns)}. Received: {options.target!r}"
        )
    if rows < _LEAST_ROWS:
        raise InvalidArgument(f"Expected {_LEAST_ROWS} rows or more in {str(path)!r}. Received: {rows}.")
    target = columns.pop(options.target)
    kinds = {name: column.kind(str(path)) for name, column in columns.items()}
    if not kinds:
        raise InvalidArgument(
            f"Expected columns beside the target in {str(path)!r}. Received: {options.target!r} alone."
        )
    classes = _classes(options, target)
    reader = _Reader(options, kinds, target.name, classes)
    size = sum(4 * rows if kinds[name] != "text" else column.bytes for name, column in columns.items())
    streamed = options.streamed if options.streamed is not None else not memory.has_room_for(size)
    held_out = int(is_held_out(np.arange(rows)).sum())
    fingerprint = digest(path, {**options.to_dict(), "path": "", "streamed": ""})
    train: Examples | Stream
    test: Examples | Stream
    if streamed:
        train = Stream(reader.stream(held_out=False), rows - held_out, fingerprint)
        test = Stream(reader.stream(held_out=True), held_out, fingerprint)
    else:
        train, test = reader.examples(held_out=False), reader.examples(held_out=True)
    return Dataset.of(
        train,
        test,
        class_names=classes or (),
        name=path.name,
        source=f"the file {path.name}",
        licence="the user's own",
        fingerprint=fingerprint,
    )


def _look_at(options: DataOptions) -> tuple[dict[str, Column], int]:
    columns: dict[str, Column] = {}
    rows = 0
    for number, block in blocks(options.path):
        for name, values in block.items():
            column = columns.setdefault(name, Column(name, name in options.text, typed=options.path.suffix != ".csv"))
            column.look(number, values)
        rows += len(next(iter(block.values()), ()))
    for column in columns.values():
        if column.seen < rows:  # a field that came late
            column.missing = 1
    if unknown := set(options.text) - set(columns):
        raise InvalidArgument(f"Expected --text as columns of {str(options.path)!r}. Received: {', '.join(unknown)}")
    return columns, rows


def _classes(options: DataOptions, target: Column) -> tuple[str, ...] | None:
    """The names of the classes; None of a regression.

    Raises:
        InvalidArgument: the target is missing somewhere, constant, or of too many classes.
    """
    where = str(options.path)
    if target.missing is not None:
        raise InvalidArgument(
            f"{where}, row {target.missing}: the target {target.name!r} is missing. Take the row out."
        )
    if len(target.values) < 2:
        raise InvalidArgument(
            f"{where}: the target {target.name!r} is {next(iter(target.values), None)!r} in every row."
        )
    kind = target.kind(where)
    task = options.task or ("regression" if kind == "number" else "classification")
    if task == "regression":
        if kind == "text":
            row, value = target.kinds.get("text", (0, ""))
            raise InvalidArgument(f"{where}, row {row}: the target {target.name!r} is text ({value!r}), and no number.")
        return None
    if kind == "number" and (broken := sorted(value for value in target.values if not float(value).is_integer())):
        raise InvalidArgument(
            f"{where}: the target {target.name!r} has numbers with a fraction ({broken[0]!r}), which are no classes. "
            "Leave out --task classification, or make names of them."
        )
    if len(target.values) >= MOST_CLASSES:
        raise InvalidArgument(
            f"{where}: the target {target.name!r} has {MOST_CLASSES} different values or more: no classes."
        )
    return tuple(sorted(target.values, key=lambda value: (float(value), value) if kind == "number" else (0.0, value)))


@dataclass(frozen=True)
class _Reader:
    options: DataOptions
    kinds: Mapping[str, str]
    target: str
    classes: tuple[str, ...] | None

    def examples(self, *, held_out: bool) -> Examples:
        """All rows of a split."""
        parts = list(self.parts(held_out=held_out))
        inputs = {name: np.concatenate([part[0][name] for part in parts]) for name in self.kinds}
        return Examples(inputs, np.concatenate([part[1] for part in parts]))

    def stream(self, *, held_out: bool) -> Callable[[], Any]:
        """A tf.data.Dataset of the rows of a split, one by one."""

        def make() -> Any:
            import tensorflow as tf

            kinds = {name: tf.string if kind == "text" else tf.float32 for name, kind in self.kinds.items()}
            inputs = {name: tf.TensorSpec((None,), dtype) for name, dtype in kinds.items()}
            target = tf.TensorSpec((None,), tf.float32 if self.classes is None else tf.int64)
            parts = tf.data.Dataset.from_generator(
                lambda: self.parts(held_out=held_out), output_signature=(inputs, target)
            )
            return parts.unbatch()

        return make

    def parts(self, *, held_out: bool) -> Iterator[tuple[dict[str, Any], Any]]:
        """The rows of a split, some at a time: inputs by name, targets."""
        seen = 0
        numbers = {name: number for number, name in enumerate(self.classes or ())}
        for _, block in blocks(self.options.path):
            count = len(block[self.target])
            mine = is_held_out(np.arange(seen, seen + count)) == held_out
            seen += count
            inputs = {
                name: (as_texts if kind == "text" else as_numbers)(block.get(name, arrow.nulls(count, arrow.string())))[
                    mine
                ]
                for name, kind in self.kinds.items()
            }
            told = block[self.target]
            if self.classes is None:
                target = as_numbers(told)
            else:
                target = np.array([numbers[one] for one in as_texts(told)], np.int64)
            if mine.any():
                yield inputs, target[mine]
