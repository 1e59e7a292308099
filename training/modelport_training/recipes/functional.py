"""A dense classifier with dropout, by the functional API: 784 -> 64 -> dropout 0.2 -> 128 -> classes."""

from __future__ import annotations

import keras

from modelport_export.images import ImageInput

IMAGE = ImageInput(height=28, width=28, shape=(784,))

EPOCHS = 20
BATCH_SIZE = 32
LEARNING_RATE = 2e-3


def build(classes: int) -> keras.Model:
    """(N, 784) float32 in 0..1 -> (N, classes) probabilities."""
    pixels = keras.Input((784,), name="pixels")
    x = keras.layers.Dense(64, activation="relu")(pixels)
    x = keras.layers.Dropout(0.2)(x)
    x = keras.layers.Dense(128, activation="relu")(x)
    probabilities = keras.layers.Dense(classes, activation="softmax", name="probabilities")(x)
    return keras.Model(pixels, probabilities, name="functional_mlp")
