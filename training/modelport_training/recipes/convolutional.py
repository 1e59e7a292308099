"""A small convolutional classifier of 28x28 grey images: two convolutions with pooling, dropout, one dense layer."""

from __future__ import annotations

import keras

from modelport_export.images import ImageInput

IMAGE = ImageInput(height=28, width=28)

EPOCHS = 12
BATCH_SIZE = 32
LEARNING_RATE = 2e-3


def build(classes: int) -> keras.Model:
    """(N, 28, 28, 1) float32 in 0..1 -> (N, classes) probabilities."""
    return keras.Sequential(
        [
            keras.Input((28, 28, 1), name="image"),
            keras.layers.Conv2D(16, 3, activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Conv2D(32, 3, activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Flatten(),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(classes, activation="softmax", name="probabilities"),
        ],
        name="convolutional",
    )
