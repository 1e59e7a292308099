"""Held-out rows by the names that the exported model has for its inputs and outputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from modelport_export import naming
from modelport_training.datasets.examples import Array, Examples, flatten
from modelport_training.recipe import Recipe


def named(recipe: Recipe, model: Any, rows: Examples) -> dict[str, Array]:
    """Raw inputs by name, then what the model ought to answer as `label` or `target_OUTPUT`.

    Args:
        recipe: whose they are.
        model: built.
        rows: as the recipe makes them.
    """
    return _inputs(recipe, model, rows.inputs) | _targets(model, rows.targets)


def output_names(model: Any) -> list[str]:
    """The names that the exported model has for its outputs; empty of a subclassed model, which knows none."""
    tensors = getattr(model, "outputs", None)
    return naming.output_names(list(tensors)) if tensors else []


def _inputs(recipe: Recipe, model: Any, inputs: Any) -> dict[str, Array]:
    if recipe.image is not None:
        return {"image": inputs}
    if isinstance(inputs, Mapping):
        return {_joined(path): array for path, array in naming.leaves(inputs)}
    arrays = flatten(inputs)
    tensors = getattr(model, "inputs", None)
    if tensors and len(tensors) == len(arrays):
        return dict(zip(naming.input_names(list(tensors)), arrays, strict=True))
    if len(arrays) == 1:
        return {"input": arrays[0]}
    return {f"input_{place}": array for place, array in enumerate(arrays, 1)}


def _targets(model: Any, targets: Any) -> dict[str, Array]:
    if isinstance(targets, Mapping):
        return {f"target_{_joined(path)}": array for path, array in naming.leaves(targets)}
    arrays = flatten(targets)
    if len(arrays) == 1:
        return {"label": arrays[0]}
    names = output_names(model)
    names = names if len(names) == len(arrays) else [f"output_{place}" for place in range(1, len(arrays) + 1)]
    return {f"target_{name}": array for name, array in zip(names, arrays, strict=True)}


def _joined(path: naming.Path) -> str:
    return "_".join(map(str, path))


def storable(rows: Any) -> dict[str, Any]:
    """Arrays as numpy stores them without Python objects: texts as bytes of one width."""
    return {
        name: np.array([value.encode() if isinstance(value, str) else value for value in array.ravel()]).reshape(
            array.shape
        )
        if array.dtype == object
        else array
        for name, array in rows.items()
    }
