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
            list; None is a feature that this example does not have.
        context: features that all examples share.

    Raises:
        InvalidArgument: values of other kinds, of several kinds in one feature, or columns of unequal length.
    """
    rows = [_example(row, f"row {place}") for place, row in enumerate(_rows(examples))]
    if context is None:
        return messages.Input(example_list=messages.ExampleList(examples=rows))
    shared = _example(context, "the context")
    both = messages.ExampleListWithContext(examples=rows, context=shared)
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
    """Columns as lists; what is no column as it is."""
    if isinstance(values, np.ndarray):
        return values.tolist()
    for method in ("to_pylist", "to_list", "tolist"):  # of Arrow; of pandas and Polars; of numpy's scalars
        if hasattr(values, method):
            return getattr(values, method)()
    return list(values) if isinstance(values, tuple) else values


def _example(row: Any, which: str) -> messages.Example:
    if not isinstance(row, Mapping):
        raise InvalidArgument(f"Expected a dict for each example. Received for {which}: {type(row).__name__}")
    features = {}
    for name, value in row.items():
        if not isinstance(name, str):
            raise InvalidArgument(f"Expected features whose names are text. Received in {which}: {name!r}")
        listed = _listed(value)
        if listed is not None:
            items = listed if isinstance(listed, list) else [listed]
            features[name] = _feature([_listed(item) for item in items], name, which)
    return messages.Example(features=messages.Features(feature=features))


def _feature(items: list[Any], name: str, which: str) -> messages.Feature:
    kinds = {_kind(item) for item in items}
    if kinds == {"int", "float"}:  # a list of numbers of which some have no fraction
        kinds = {"float"}
    where = f"feature {name!r} of {which}"
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
            with np.errstate(over="ignore"):
                narrow = np.asarray(items, np.float64).astype(np.float32)
            lost = np.isfinite(np.asarray(items, np.float64)) & ~np.isfinite(narrow)
            if lost.any():
                raise InvalidArgument(
                    f"Expected numbers that float32 can carry in {where}. Received: {items[int(lost.argmax())]}"
                )
            return messages.Feature(float_list=messages.FloatList(value=narrow.tolist()))
        case _:
            encoded = [item.encode() if isinstance(item, str) else item for item in items]
            return messages.Feature(bytes_list=messages.BytesList(value=encoded))


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
