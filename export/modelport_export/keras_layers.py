"""All layers of a model, however deep: the one place that asks Keras for them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def layers_of(model: Any) -> Iterator[Any]:
    """The model's layers, those within models and layers too; not the model itself."""
    flatten = getattr(model, "_flatten_layers", None)  # private, and what Keras itself uses
    if flatten is not None:
        yield from flatten(include_self=False)
        return
    for layer in model.layers:
        yield layer
        if hasattr(layer, "layers"):
            yield from layers_of(layer)
