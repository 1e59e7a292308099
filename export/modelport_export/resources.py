"""The variables, tables and constants that traced functions hold on to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from modelport.errors import FailedPrecondition


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


def _tables(holders: Sequence[Any]) -> list[Any]:
    kind = tf.saved_model.experimental.TrackableResource
    return [t for holder in holders for t in tf.train.TrackableView(holder).descendants() if isinstance(t, kind)]
