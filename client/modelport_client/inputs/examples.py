"""tf.Examples of what a user holds, without TensorFlow: the inputs of Classify, Regress and MultiInference."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np

from modelport.errors import InvalidArgument
from modelport.wire import messages
from modelport_client.inputs import frames

_INT64 = range(-(2**63), 2**63)


def to_input(examples: Any, context: Mapping[str, Any] | None = None) -> messages.Input:
    """The examples as the API has them.

    Args:
        examples: a data frame, a dict of columns, a list of row dicts, or one dict of single values. Integers and truth
            values become int64 features, floats float (rounded to float32), text and bytes bytes. A value may be a
            list; None is a feature that this example does not have. A feature that is float in one example is in all.
        context: features that all examples share.

    Raises:
        InvalidArgument: values of other kinds, of several kinds in one feature, or columns of unequal length.
    """
    rows = [_items(row, f"row {place}") for place, row in enumerate(_rows(examples))]
    shared = None if context is None else _items(context, "the context")
    everywhere = [*rows, *([] if shared is None else [shared])]
    mixed = {name for row in everywhere for name, items in row.items() if any(isinstance(one, float) for one in items)}
    made = [_example(row, mixed, f"row {place}") for place, row in enumerate(rows)]
    if shared is None:
        return messages.Input(example_list=messages.ExampleList(examples=made))
    both = messages.ExampleListWithContext(examples=made, context=_example(shared, mixed, "the context"))
    return messages.Input(example_list_with_context=both)


def as_json(given: messages.Input) -> dict[str, Any]:
    """`examples` and `context` of a REST request."""
    if given.WhichOneof("kind") == "example_list":
        return {"examples": [_plain(example) for example in given.example_list.examples]}
    both = given.example_list_with_context
    return {"context": _plain(both.context), "examples": [_plain(example) for example in both.examples]}


def _rows(examples: Any) -> list[Mapping[str, Any]]:
    if frames.is_frame(examples):
        names = list(examples.column_names if hasattr(examples, "column_names") else examples.columns)
        examples = {name: _listed(examples[name]) for name in names}
    if frames.is_rows(examples):
        return list(examples)
    if not isinstance(examples, Mapping) or not examples:
        raise InvalidArgument(
            "Expected examples as a data frame, a dict of columns, a list of row dicts, or one dict of values. "
            f"Received: {type(examples).__name__}"
        )
    columns = {name: _listed(values) for name, values in examples.items()}
    single = [name for name, values in columns.items() if not isinstance(values, list)]
    if len(single) == len(columns):
        return [columns]
    if single:
        raise InvalidArgument(f"Expected a column for each feature. Received a single value for {single}")
    counts = {name: len(values) for name, values in columns.items()}
    if len(set(counts.values())) > 1:
        raise InvalidArgument(f"Expected columns of one length. Received: {counts}")
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _listed(values: Any) -> Any:
    """Columns as lists, in which None is a missing value; what is no column as it is."""
    if isinstance(values, np.ndarray | np.generic):
        if values.dtype.kind in "mM":
            raise InvalidArgument(f"Expected numbers, text or bytes. Received: {values.dtype}")
        return values.tolist()
    if hasattr(values, "isna") and values.dtype.kind not in "fiub":  # a missing text is a float for pandas
        return [None if is_missing else item for item, is_missing in zip(values.tolist(), values.isna(), strict=True)]
    for method in ("to_pylist", "to_list", "tolist"):  # of Arrow; of pandas and Polars; of numpy's scalars
        if hasattr(values, method):
            return getattr(values, method)()
    return list(values) if isinstance(values, tuple) else values


def _items(row: Any, which: str) -> dict[str, list[Any]]:
    """Feature -> its values, for one example."""
    if not isinstance(row, Mapping):
        raise InvalidArgument(f"Expected a dict for each example. Received for {which}: {type(row).__name__}")
    found = {}
    for name, value in row.items():
        if not isinstance(name, str):
            raise InvalidArgument(f"Expected features whose names are text. Received in {which}: {name!r}")
        listed = _listed(value)
        if listed is not None:
            found[name] = [_listed(item) for item in (listed if isinstance(listed, list) else [listed])]
    return found


def _example(row: Mapping[str, list[Any]], floats: set[str], which: str) -> messages.Example:
    features = {
        name: _feature(items, f"feature {name!r} of {which}", is_float=name in floats) for name, items in row.items()
    }
    return messages.Example(features=messages.Features(feature=features))


def _feature(items: list[Any], where: str, *, is_float: bool) -> messages.Feature:
    kinds = {_kind(item) for item in items}
    if is_float and kinds <= {"int", "float"} and kinds:
        kinds = {"float"}
    if not kinds:
        return messages.Feature()
    if len(kinds) > 1 or None in kinds:
        shown = sorted({type(item).__name__ for item in items})
        raise InvalidArgument(f"Expected numbers, or text and bytes, in {where}. Received: {', '.join(shown)}")
    match kinds.pop():
        case "int":
            wrong = [item for item in items if int(item) not in _INT64]
            if wrong:
                raise InvalidArgument(f"Expected integers of 64 bits in {where}. Received: {wrong[0]}")
            return messages.Feature(int64_list=messages.Int64List(value=map(int, items)))
        case "float":
            return messages.Feature(float_list=messages.FloatList(value=_floats(items, where)))
        case _:
            return messages.Feature(bytes_list=messages.BytesList(value=[_bytes(item, where) for item in items]))


def _floats(items: list[Any], where: str) -> list[float]:
    wide = np.asarray(items, np.float64)
    with np.errstate(over="ignore"):
        narrow = wide.astype(np.float32)
    lost = np.isfinite(wide) & ~np.isfinite(narrow)
    if lost.any():
        raise InvalidArgument(
            f"Expected numbers that float32 can carry in {where}. Received: {items[int(lost.argmax())]}"
        )
    values: list[float] = narrow.tolist()
    return values


def _bytes(item: str | bytes, where: str) -> bytes:
    try:
        return item.encode() if isinstance(item, str) else item
    except UnicodeEncodeError as error:
        raise InvalidArgument(f"Expected text that UTF-8 can carry in {where}. Received: {error.reason}") from error


def _kind(item: Any) -> str | None:
    if isinstance(item, bool | int):
        return "int"
    if isinstance(item, float):
        return "float"
    return "bytes" if isinstance(item, str | bytes) else None


def _plain(example: messages.Example) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for name, feature in example.features.feature.items():
        kind = feature.WhichOneof("kind")
        if kind == "bytes_list":
            plain[name] = [{"b64": base64.b64encode(item).decode()} for item in feature.bytes_list.value]
        elif kind is not None:
            plain[name] = list(getattr(feature, kind).value)
    return plain
