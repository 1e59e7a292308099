"""The names of a model's inputs and outputs, none of them from Keras' process-wide counters.

A name that the user gave is kept: `Input(name=…)`, a dict key, the name of an output's layer. A name that Keras made up
(`keras_tensor_17`, `input_layer_3`, `dense_7`) depends on what else ran in the process, so it is replaced by one that
depends on the model alone: `input` or `output` when there is only one, else its kind and its place counted from 1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

_AUTOMATIC_INPUT = re.compile(r"(keras_tensor|input_layer|args)(_\d+)*")

Path = tuple[str | int, ...]  # dict keys, and places in lists counted from 1


def leaves(structure: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """The leaves of nested dicts, lists and tuples in the order written, each with its path."""
    if isinstance(structure, dict):
        for key, value in structure.items():
            yield from leaves(value, (*path, key))
    elif isinstance(structure, tuple) and hasattr(structure, "_fields"):
        for key, value in zip(structure._fields, structure, strict=True):
            yield from leaves(value, (*path, key))
    elif isinstance(structure, list | tuple):
        for place, value in enumerate(structure, 1):
            yield from leaves(value, (*path, place))
    else:
        yield path, structure


def rebuild(structure: Any, values: Iterator[Any]) -> Any:
    """The same nesting with other leaves, taken in the order of `leaves`."""
    if isinstance(structure, dict):
        return {key: rebuild(value, values) for key, value in structure.items()}
    if isinstance(structure, tuple) and hasattr(structure, "_fields"):
        return type(structure)(*[rebuild(value, values) for value in structure])
    if isinstance(structure, list | tuple):
        rebuilt = [rebuild(value, values) for value in structure]
        return rebuilt if isinstance(structure, list) else tuple(rebuilt)
    return next(values)


def input_names(structure: Any) -> list[str]:
    """Names for the leaves of a structure of KerasTensors, TensorSpecs or shapes; automatic ones become `input_<n>`."""
    found = list(leaves(structure))
    given = []
    for path, leaf in found:
        name = _key(path) or getattr(leaf, "name", None)
        given.append(None if name is None or (not _key(path) and _AUTOMATIC_INPUT.fullmatch(name)) else name)
    return _fill_in(given, ["input"] * len(found))


def output_names(structure: Any) -> list[str]:
    """Names for the leaves of a structure of outputs; automatic ones become `output`, or `<kind>_<n>` by place.

    Leaves that are KerasTensors of a functional model know the layer that made them; others are of kind `output`.
    """
    given: list[str | None] = []
    kinds = []
    for path, leaf in leaves(structure):
        operation: Any = getattr(getattr(leaf, "_keras_history", None), "operation", None)
        if operation is None:
            given.append(_key(path))
            kinds.append("output")
        else:
            given.append(_key(path) or (None if is_automatic(operation) else operation.name))
            kinds.append(snake_case(type(operation).__name__))
    repeated = {name for name in given if name is not None and given.count(name) > 1}
    kinds = [name if name in repeated else kind for name, kind in zip(given, kinds, strict=True)]
    given = [None if name in repeated else name for name in given]
    return _fill_in(given, ["output"] if len(given) == 1 else kinds)


def is_automatic(layer: Any) -> bool:
    """Whether Keras made up this layer's name: its class in snake case, with or without a counter."""
    return re.fullmatch(rf"({snake_case(type(layer).__name__)}|input_layer)(_\d+)?", layer.name) is not None


def snake_case(name: str) -> str:
    """Keras' spelling of a class name in automatic layer names: `Conv2DTranspose` → `conv2d_transpose`."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def _key(path: Path) -> str | None:
    """`{"boxes": [a, b]}` gives `boxes_1` and `boxes_2`; a path without any key gives None."""
    if any(isinstance(step, str) for step in path):
        return "_".join(map(str, path))
    return None


def _fill_in(given: Sequence[str | None], kinds: Sequence[str]) -> list[str]:
    """Name what has no name: its kind when it is alone, else kind and place; a number that is taken is passed over."""
    if len(given) == 1:
        return [given[0] if given[0] is not None else kinds[0]]
    taken = {name for name in given if name is not None}
    names = []
    for place, (name, kind) in enumerate(zip(given, kinds, strict=True), 1):
        if name is None:
            number = place
            while f"{kind}_{number}" in taken:
                number += len(given)
            name = f"{kind}_{number}"
            taken.add(name)
        names.append(name)
    return names
