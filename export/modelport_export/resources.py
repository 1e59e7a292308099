"""The variables, tables and constants that traced functions hold on to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf
from tensorflow.python.trackable.base import Trackable

from modelport.errors import FailedPrecondition
from modelport_export.keras_layers import layers_of


def captured_objects(function: Any, holders: Sequence[Any]) -> list[Any]:
    """What a concrete function captures, in its order: tf.Variables, lookup tables and eager tensors.

    Args:
        function: a concrete function.
        holders: trackable objects (Keras models, modules) below which the tables are looked for.

    Raises:
        FailedPrecondition: a resource that hangs on no attribute of the model, so that it could not be saved.
    """
    variables = {id(variable.handle): variable for variable in function.graph.variables}
    tables = {id(table.resource_handle): table for table in _tables(holders)}
    found = []
    for external, internal in function.graph.captures:
        if external.dtype != tf.resource:
            found.append(external)
        elif id(external) in variables:
            found.append(variables[id(external)])
        elif id(external) in tables:
            found.append(tables[id(external)])
        else:
            raise FailedPrecondition(
                f"Expected every table and variable of the model to be an attribute of one of its layers. Received: a "
                f"resource behind {internal.name!r} that no layer holds. Assign it in the layer, for example "
                "self.table = tf.lookup.StaticHashTable(…)."
            )
    return found


def _tables(holders: Sequence[Any]) -> Iterator[Any]:
    """Tables that hang on the holders, on layers of theirs, or stand in dicts and lists of either."""
    for holder in holders:
        for owner in (holder, *(layers_of(holder) if isinstance(holder, keras.Layer) else ())):
            for value in (owner, *_values(vars(owner))):
                if isinstance(value, Trackable):
                    yield from (t for t in tf.train.TrackableView(value).descendants() if hasattr(t, "resource_handle"))


def _values(structure: Any) -> Iterator[Any]:
    if isinstance(structure, Mapping):
        structure = structure.values()
    elif not isinstance(structure, list | tuple | set):
        yield structure
        return
    for value in structure:
        yield from _values(value)
