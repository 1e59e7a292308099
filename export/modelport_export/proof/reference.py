"""What the user's model answers when it is called as its user calls it.

This is the other side of the proof, so it shares no code with what is exported: it finds out by itself how named arrays
go into the model and how what comes out is called. Where both agree, neither has to be believed.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from modelport.errors import FailedPrecondition
from modelport_export.signatures import Array

_AUTOMATIC = re.compile(r"(keras_tensor|input_layer|args)[_\d]*|input(_\d+)?")  # what Keras calls inputs by itself


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
        leaves = list(_leaves(answer))
        if len(leaves) != len(self._outputs):
            raise FailedPrecondition(
                f"Expected {len(self._outputs)} outputs, {self._outputs}, as while tracing. The model, called by "
                f"itself, returns {len(leaves)}."
            )
        layers = _layers_behind(self._model) if isinstance(self._model, _functional()) else []
        found: dict[str, Array] = {}
        nameless: list[tuple[Any, Any]] = []
        for place, (names, value) in enumerate(leaves):
            key = _key(names)
            if key is not None and key in self._outputs:
                found[key] = _numpy(value)
            else:
                nameless.append((layers[place] if place < len(layers) else None, value))
        left = [name for name in self._outputs if name not in found]
        if len(left) != len(nameless):
            raise FailedPrecondition(
                f"Expected the outputs {self._outputs}. The model, called by itself, returns {sorted(found)} and "
                f"{len(nameless)} without a name."
            )
        for name, (layer, value) in zip(left, nameless, strict=True):
            if layer is not None and _is_given(layer) and layer.name in left and layer.name != name:
                raise FailedPrecondition(
                    f"Expected {layer.name!r} as the name of the output of that layer, not {name!r}."
                )
            found[name] = _numpy(value)
        return found


def _functional() -> Any:
    """The class of functional models, which Keras exports under no name: that of one made here."""
    image = keras.Input((1,))
    return type(keras.Model(image, image))


def _leaves(structure: Any, names: tuple[tuple[str, bool], ...] = ()) -> Iterator[tuple[Any, Any]]:
    """Leaves in the order written, each with its way there: names, and whether they are keys."""
    if isinstance(structure, Mapping):
        for key, value in structure.items():
            yield from _leaves(value, (*names, (str(key), True)))
    elif isinstance(structure, tuple) and hasattr(structure, "_fields"):
        for key, value in zip(structure._fields, structure, strict=True):
            yield from _leaves(value, (*names, (key, True)))
    elif isinstance(structure, list | tuple):
        for place, value in enumerate(structure, 1):
            yield from _leaves(value, (*names, (str(place), False)))
    else:
        yield names, structure


def _key(names: Sequence[tuple[str, bool]]) -> str | None:
    return "_".join(name for name, _ in names) if any(is_key for _, is_key in names) else None


def _filled(structure: Any, tensors: Mapping[str, Any]) -> Any:
    """The nesting of a functional model's inputs, with tensors for its leaves: by key, else in the order of both."""
    keys = [
        "_".join(name for name, _ in names) if any(k for _, k in names) else None for names, _ in _leaves(structure)
    ]
    rest = iter([name for name in tensors if name not in keys])
    order = [key if key in tensors else next(rest, None) for key in keys]
    if None in order or len(set(order)) != len(tensors):
        raise FailedPrecondition(f"Expected arrays for all inputs of the model. Received: {list(tensors)}")
    for name, (_, leaf) in zip(order, _leaves(structure), strict=True):
        if leaf.name in tensors and leaf.name != name and _AUTOMATIC.fullmatch(leaf.name) is None:
            raise FailedPrecondition(f"Expected {leaf.name!r} as the name of that input, not {name!r}.")
    values = iter([tensors[name] for name in order if name is not None])
    return _rebuilt(structure, values)


def _rebuilt(structure: Any, values: Iterator[Any]) -> Any:
    if isinstance(structure, Mapping):
        return {key: _rebuilt(value, values) for key, value in structure.items()}
    if isinstance(structure, tuple) and hasattr(structure, "_fields"):
        return type(structure)(*(_rebuilt(value, values) for value in structure))
    if isinstance(structure, list | tuple):
        return type(structure)(_rebuilt(value, values) for value in structure)
    return next(values)


def _built_on(model: Any) -> Any:
    """The nesting of shapes that a subclassed model with one argument was built on, as Keras saves it."""
    config = model.get_build_config() or {}
    shapes = config.get("shapes_dict") or {}
    shape = next(iter(shapes.values())) if len(shapes) == 1 else config.get("input_shape")
    if isinstance(shape, list | tuple) and not all(size is None or isinstance(size, int) for size in shape):
        return list(shape)
    return shape if isinstance(shape, Mapping) else None


def _layers_behind(model: Any) -> list[Any]:
    """The layers that give a functional model's outputs, None of those that cannot be told."""

    def gives(layer: Any, tensor: Any) -> bool:
        try:
            return any(output is tensor for output in keras.tree.flatten(layer.output))
        except (AttributeError, ValueError):  # a layer that was called several times has no one output
            return False

    tensors = [leaf for _, leaf in _leaves(model.output)]
    return [next((layer for layer in model.layers if gives(layer, tensor)), None) for tensor in tensors]


def _is_given(layer: Any) -> bool:
    """Whether somebody named the layer: Keras' own names are the class in small letters, and a number."""
    kind = re.sub("(?<=[a-z0-9])(?=[A-Z])", "_", type(layer).__name__).lower().replace("_", "")
    return re.fullmatch(rf"{kind}\d*", layer.name.replace("_", "")) is None


def _numpy(value: Any) -> Array:
    found = value.numpy() if hasattr(value, "numpy") else value
    return np.array(found, object) if isinstance(found, bytes) else np.asarray(found)
