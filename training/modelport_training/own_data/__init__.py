"""One's own data without code: tables, folders of images, lines of JSON, TFRecords."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from modelport.errors import InvalidArgument, NotFound
from modelport_training.own_data.options import DataOptions

if TYPE_CHECKING:
    from modelport_training.datasets.dataset import Dataset

__all__ = ["DataOptions", "load", "recipe_for"]

_TABLES = (".csv", ".parquet")
_LINES = (".jsonl", ".ndjson")
_RECORDS = (".tfrecord", ".tfrecords")


def recipe_for(path: Path) -> str:
    """The built-in recipe that goes with a kind of data.

    Raises:
        InvalidArgument: it is of no kind that can be read.
    """
    if path.is_dir():
        return "image_folder"
    if path.suffix in _LINES:
        return "text"
    if path.suffix in (*_TABLES, *_RECORDS):
        return "tabular"
    raise _unknown(path)


def load(options: DataOptions) -> Dataset:
    """Read one's own data.

    Args:
        options: what is where.

    Raises:
        NotFound: there is no such path.
        InvalidArgument: it is of no kind that can be read, or a row is wrong; the message names file and row.
        DataLoss: a file is cut short.
    """
    path = options.path
    if not path.exists():
        raise NotFound(f"Expected the data in {str(path)!r}, which does not exist.")
    kind = "a folder of images" if path.is_dir() else "TFRecords" if path.suffix in _RECORDS else "a table"
    for name, value, of in (
        ("features", options.features, ("TFRecords",)),
        ("image_size", options.image_size, ("a folder of images",)),
        ("text", options.text, ("a table",)),
        ("target", options.target, ("a table", "TFRecords")),
        ("task", options.task, ("a table", "TFRecords")),
    ):
        if value and kind not in of:
            raise InvalidArgument(
                f"Expected {name} with {' or '.join(of)} only. Received: it with {kind}, {str(path)!r}."
            )
    # Each reader stands on a library of its own, which the others need not have.
    if path.is_dir():
        from modelport_training.own_data import image_folder

        return image_folder.load(options)
    if path.suffix in (*_TABLES, *_LINES):
        from modelport_training.own_data import tables

        return tables.load(options)
    if path.suffix in _RECORDS:
        from modelport_training.own_data import records

        return records.load(options)
    raise _unknown(path)


def _unknown(path: Path) -> InvalidArgument:
    return InvalidArgument(
        f"Expected a folder with a folder of images for each class, or a file that ends in "
        f"{', '.join((*_TABLES, *_LINES, *_RECORDS))}. Received: {str(path)!r}"
    )
