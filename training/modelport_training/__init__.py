"""Data to a trained Keras model: recipes, datasets, training.

    from modelport_training import Settings, train

    trained = train(Settings(recipe="sequential"))
    trained.metrics["accuracy"]

Importing this package imports no TensorFlow; the first use of `train` or `TrainedModel` does.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelport_training.datasets import Dataset, load_dataset
    from modelport_training.fit import train
    from modelport_training.recipe import Recipe, load_recipe
    from modelport_training.settings import Settings
    from modelport_training.trained_model import TrainedModel

__all__ = ["Dataset", "Recipe", "Settings", "TrainedModel", "load_dataset", "load_recipe", "train"]

_HOMES = {
    "Dataset": "datasets",
    "Recipe": "recipe",
    "Settings": "settings",
    "TrainedModel": "trained_model",
    "load_dataset": "datasets",
    "load_recipe": "recipe",
    "train": "fit",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
