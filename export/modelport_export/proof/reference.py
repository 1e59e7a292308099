"""What the user's model answers when it is called as its user calls it.

This is the other side of the proof, so it shares no code with what is exported: it finds out by itself how named arrays
go into the model and how what comes out is called. Where both agree, neither has to be believed.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from modelport.errors import FailedPrecondition
from modelport_export.signatures import Array


class Reference:
    """A Keras model as a function of named arrays.

    Args:
        model: the user's.
        outputs: the names that its outputs were given, in the order in which the model returns them.
    """

    def __init__(self, model: Any, outputs: Sequence[str]) -> None:
        self._model = model
        self._outputs = list(outputs)

    def __call__(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Call the model for inference, eagerly; output name → array.

        Raises:
            Exception: whatever the model raises.
        """
        tensors = {name: tf.convert_to_tensor(array) for name, array in inputs.items()}
        args, kwargs = self._arguments(tensors)
        return self._named(self._model(*args, **kwargs, training=False))

    def _arguments(self, tensors: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        model = self._model
        if isinstance(model, _functional()):
            return (_filled(model.input, tensors),), {}
        if isinstance(model, keras.Sequential):
            return tuple(tensors.values()), {}
        parameters = inspect.signature(model.call).parameters
        if set(tensors) <= set(parameters):
            return (), dict(tensors)
        built_on = _built_on(model)
        if isinstance(built_on, Mapping):
            return (dict(tensors),), {}
        if isinstance(built_on, list):
            return (list(tensors.values()),), {}
        return (next(iter(tensors.values())) if len(tensors) == 1 else dict(tensors),), {}

    def _named(self, answer: Any) -> dict[str, Array]:
        leaves = keras.tree.flatten_with_path(answer)
        if len(leaves) != len(self._outputs):
            raise FailedPrecondition(
                f"Expected {len(self._outputs)} outputs, {self._outputs}, as while tracing. The model, called by "
                f"itself, returns {len(leaves)}."
            )
        given = _layer_names(self._model, len(leaves)) if isinstance(self._model, _functional()) else []
        found: dict[str, Array] = {}
        nameless = []
        for place, (path, value) in enumerate(leaves):
            name = _key(path)
            if name is None and given and given.count(given[place]) == 1:
                name = given[place]
            if name is not None and name in self._outputs:
                found[name] = _numpy(value)
            else:
                nameless.append(value)
        left = [name for name in self._outputs if name not in found]
        if len(left) != len(nameless):
            raise FailedPrecondition(
                f"Expected the outputs {self._outputs}. The model, called by itself, returns {sorted(found)} and "
                f"{len(nameless)} without a name."
            )
        found.update({name: _numpy(value) for name, value in zip(left, nameless, strict=True)})
        return found


def _functional() -> Any:
    """The class of functional models, which Keras exports under no name: that of one made here."""
    image = keras.Input((1,))
    return type(keras.Model(image, image))


def _filled(structure: Any, tensors: Mapping[str, Any]) -> Any:
    """The nesting of a functional model's inputs, with tensors for its leaves."""
    leaves = keras.tree.flatten_with_path(structure)
    values = []
    for place, (path, leaf) in enumerate(leaves, 1):
        names: tuple[Any, ...] = (_key(path), leaf.name, f"input_{place}" if len(leaves) > 1 else "input")
        values.append(next((tensors[name] for name in names if name in tensors), None))
    left = [name for name in tensors if not any(tensors[name] is value for value in values)]
    if len(left) == 1 and sum(value is None for value in values) == 1:
        values = [tensors[left[0]] if value is None else value for value in values]
    if any(value is None for value in values) or not values:
        raise FailedPrecondition(f"Expected arrays for all inputs of the model. Received: {list(tensors)}")
    return keras.tree.pack_sequence_as(structure, values)


def _built_on(model: Any) -> Any:
    """The nesting of shapes that a subclassed model with one argument was built on, as Keras saves it."""
    config = model.get_build_config() or {}
    shapes = config.get("shapes_dict") or {}
    shape = next(iter(shapes.values())) if len(shapes) == 1 else config.get("input_shape")
    if isinstance(shape, list | tuple) and not all(size is None or isinstance(size, int) for size in shape):
        return list(shape)
    return shape if isinstance(shape, Mapping) else None


def _layer_names(model: Any, count: int) -> list[str | None]:
    """The names of the layers that give a functional model's outputs, None of those that cannot be told."""

    def gives(layer: Any, tensor: Any) -> bool:
        try:
            return any(output is tensor for output in keras.tree.flatten(layer.output))
        except (AttributeError, ValueError):  # a layer that was called several times has no one output
            return False

    names: list[str | None] = [
        next((layer.name for layer in model.layers if gives(layer, tensor)), None) for tensor in model.outputs
    ]
    return names if len(names) == count else []


def _key(path: Sequence[Any]) -> str | None:
    if not any(isinstance(step, str) for step in path):
        return None
    return "_".join(step if isinstance(step, str) else str(step + 1) for step in path)


def _numpy(value: Any) -> Array:
    found = value.numpy() if hasattr(value, "numpy") else value
    return np.array(found, object) if isinstance(found, bytes) else np.asarray(found)
