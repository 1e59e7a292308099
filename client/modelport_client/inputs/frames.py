"""Columns: data frames, dicts of columns, lists of row dicts. None of the libraries that make them is imported.

A frame is what has named columns that numpy can read: those of pandas, Polars and Arrow all do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from modelport.errors import InvalidArgument
from modelport.tensors import as_array
from modelport_client.inputs.casting import cast
from modelport_client.prediction import Array
from modelport_client.results import TensorSpec


def is_frame(value: Any) -> bool:
    """Whether it offers itself as a data frame, by one of the two protocols for exchanging them.

    A Series and an Arrow array offer a stream, too, but have no columns.
    """
    offers = hasattr(value, "__dataframe__") or hasattr(value, "__arrow_c_stream__") or hasattr(value, "num_columns")
    return offers and (hasattr(value, "column_names") or hasattr(value, "columns"))


def is_rows(value: Any) -> bool:
    """Whether it is a list of row dicts."""
    return isinstance(value, list | tuple) and bool(value) and isinstance(value[0], Mapping)


def columns_of_frame(frame: Any) -> dict[str, Array]:
    """Column name -> its values, of rank 1, or higher where each value is an array.

    Raises:
        InvalidArgument: two columns of one name, names that are no text, missing values, or values of unequal shapes.
    """
    names = list(frame.column_names if hasattr(frame, "column_names") else frame.columns)
    for name in names:
        if not isinstance(name, str):
            raise InvalidArgument(f"Expected columns whose names are text. Received the column {name!r}")
        if names.count(name) > 1:
            raise InvalidArgument(f"Expected columns with names of their own. Received two columns {name!r}")
    return {name: column(frame[name], name) for name in names}


def columns_of_rows(rows: Sequence[Any]) -> dict[str, list[Any]]:
    """Column name -> its values, of a list of row dicts.

    Raises:
        InvalidArgument: a row is none, or has other names than the first.
    """
    names = rows[0].keys()
    for place, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise InvalidArgument(f"Expected a dict for each row. Received for row {place}: {type(row).__name__}")
        if row.keys() != names:
            wrong = sorted(map(str, row.keys() ^ names))
            raise InvalidArgument(
                f"Expected the columns {sorted(map(str, names))} in each row. Row {place} differs in {wrong}"
            )
    return {name: [row[name] for row in rows] for name in names}


def is_column(value: Any) -> bool:
    """Whether it is a Series or an Arrow array: what numpy can read, and knows of missing values by itself."""
    return hasattr(value, "__array__") and not isinstance(value, np.ndarray | np.generic) and hasattr(value, "__len__")


def column(values: Any, name: str) -> Array:
    """The values of one column.

    Raises:
        InvalidArgument: missing values that are no NaN, or arrays of unequal shapes.
    """
    if is_frame(values):
        raise InvalidArgument(f"Column {name!r}: expected a value in each row. Received a frame; name its column.")
    missing = _missing(values)
    if missing:
        raise InvalidArgument(
            f"Column {name!r}: expected a value in each row. Received {missing} without; fill them first."
        )
    try:
        array = np.asarray(values)
    except Exception as error:  # of whatever library has made it
        raise InvalidArgument(f"Column {name!r}: expected values that numpy takes. Received: {error}") from error
    if array.dtype != object or array.ndim != 1 or not len(array):
        return array
    if isinstance(array[0], np.ndarray | list | tuple) or is_column(array[0]):
        try:
            return np.stack([column(item, name) if is_column(item) else np.asarray(item) for item in array])
        except ValueError as error:
            raise InvalidArgument(
                f"Column {name!r}: expected arrays of one shape. Received others ({error})."
            ) from error
    numbers = _numbers(array)
    return array if numbers is None else numbers


def _missing(values: Any) -> int:
    """How many values are missing that are no NaN of a plain array of floats, those within lists included."""
    nulls = getattr(values, "null_count", 0)
    if count := nulls() if callable(nulls) else nulls:
        return int(count)
    if callable(nulls) and hasattr(values.dtype, "inner"):  # lists of Polars
        return _missing(values.explode())
    if hasattr(values, "combine_chunks"):
        values = values.combine_chunks()
    if hasattr(getattr(values, "type", None), "value_type") and hasattr(values, "flatten"):
        return _missing(values.flatten())
    if hasattr(values, "isna") and not isinstance(values.dtype, np.dtype):
        return int(values.isna().sum())
    return 0


def _numbers(array: Array) -> Array | None:
    """What pandas keeps as objects although all are numbers: its integers and truth values that may be missing."""
    items = array.tolist()
    if all(isinstance(item, bool) for item in items) or all(type(item) is int for item in items):
        return np.asarray(items)
    return None


def side_by_side(columns: Mapping[str, Array], spec: TensorSpec, name: str) -> Array:
    """The columns of a frame as the rows of one input of rank 2, in the frame's order.

    Args:
        columns: of rank 1.
        spec: of the input.
        name: of the input.

    Raises:
        InvalidArgument: another number of columns, columns of text and of numbers, or values that would be lost.
    """
    width = spec.shape[1] if spec.shape is not None and spec.shape[1] >= 0 else None
    if width is not None and width != len(columns):
        raise InvalidArgument(
            f"Expected a column {name!r}, or {width} columns for the {width} values that a row of the input {name!r} "
            f"has. Received {len(columns)}: {list(columns)}"
        )
    for alias, values in columns.items():
        if values.ndim != 1:
            raise InvalidArgument(
                f"Column {alias!r}: expected a single value in each row of {name!r}. Received arrays."
            )
    kinds = {alias: values.dtype.kind in "OSU" for alias, values in columns.items()}
    if len(set(kinds.values())) > 1:
        text = [alias for alias, is_text in kinds.items() if is_text]
        raise InvalidArgument(f"Expected columns of one kind for the input {name!r}. Received text in {text}")
    if spec.dtype is None:
        return np.stack(list(columns.values()), axis=1)
    cast_columns = []
    for alias, values in columns.items():  # each by itself: numpy's common dtype of several loses digits
        try:
            cast_columns.append(cast(as_array(values), spec.dtype))
        except InvalidArgument as error:
            raise InvalidArgument(f"Column {alias!r}: {error.message}") from error
    return np.stack(cast_columns, axis=1)
