"""A dense classifier as a Sequential: 784 inputs, one hidden layer of 128, one probability a class."""

from __future__ import annotations

import keras

from modelport_export.images import ImageInput

IMAGE = ImageInput(height=28, width=28, shape=(784,))

EPOCHS = 20
BATCH_SIZE = 32
LEARNING_RATE = 2e-3


def build(classes: int) -> keras.Model:
    """(N, 784) float32 in 0..1 -> (N, classes) probabilities."""
    return keras.Sequential(
        [
            keras.Input((784,), name="pixels"),
            keras.layers.Dense(128, activation="relu"),
            keras.layers.Dense(classes, activation="softmax", name="probabilities"),
        ],
        name="sequential_mlp",
    )
