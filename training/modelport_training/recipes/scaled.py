"""A dense classifier with a layer of our own between its two dense layers: one learned factor a feature."""

from __future__ import annotations

from typing import Any

import keras

from modelport_export.images import ImageInput

IMAGE = ImageInput(height=28, width=28, shape=(784,))

EPOCHS = 20
BATCH_SIZE = 32
LEARNING_RATE = 2e-3


@keras.saving.register_keras_serializable(package="modelport")
class Scale(keras.layers.Layer):
    """Multiply every feature by its own learned factor, which is 1 at first: (..., features) -> (..., features).

    Args:
        **kwargs: those of every Keras layer, such as `name` and `dtype`.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the factors, one for each of the last axis' features."""
        self.factor = self.add_weight(name="factor", shape=(input_shape[-1],), initializer="ones")

    def call(self, inputs: Any) -> Any:
        """Scale."""
        return inputs * self.factor

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """That of the input."""
        return input_shape


def build(classes: int) -> keras.Model:
    """(N, 784) float32 in 0..1 -> (N, classes) probabilities."""
    pixels = keras.Input((784,), name="pixels")
    x = keras.layers.Dense(64, activation="relu")(pixels)
    x = Scale(name="scale")(x)
    probabilities = keras.layers.Dense(classes, activation="softmax", name="probabilities")(x)
    return keras.Model(pixels, probabilities, name="scaled_mlp")
