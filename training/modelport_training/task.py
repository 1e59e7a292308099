"""What a model for a dataset ends with, and what it is compiled with: by whether the targets are classes or numbers."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np

from modelport_training.datasets.dataset import Dataset


def answer(features: Any, dataset: Dataset) -> Any:
    """Probabilities of the classes, (N, classes); or numbers, (N, 1), in the unit of the targets.

    Args:
        features: (N, any) what the model knows of each example.
        dataset: whose targets are to be answered.
    """
    if dataset.classes:
        return keras.layers.Dense(dataset.classes, activation="softmax", name="probabilities", dtype="float32")(
            features
        )
    count, total, squares = 0, 0.0, 0.0
    for part in dataset.training_targets():
        values = np.ravel(part).astype(np.float64)
        count, total, squares = count + len(values), total + values.sum(), squares + (values**2).sum()
    mean = total / count
    deviation = math.sqrt(max(squares / count - mean**2, 0.0)) or 1.0
    scaled = keras.layers.Dense(1, name="scaled", dtype="float32")(features)
    # The network answers in deviations from the mean: raw numbers would take it long to reach.
    return keras.layers.Rescaling(deviation, mean, name="value", dtype="float32")(scaled)


def compiled(model: keras.Model, dataset: Dataset) -> keras.Model:
    """The model, compiled with Adam as a classifier, or for the mean squared error."""
    if dataset.classes:
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    else:
        model.compile("adam", "mean_squared_error", metrics=["mean_absolute_error"])
    return model
