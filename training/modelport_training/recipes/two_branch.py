"""Two inputs, two outputs: each half of the image has its branch, the branches merge, and two heads read the sum.

`top` and `bottom` are raw pixel values; `digit` is the class, `parity` the probability that its number is odd.
"""

from __future__ import annotations

from collections.abc import Mapping

import keras
import numpy as np

from modelport_training.datasets.dataset import Array

EPOCHS = 20
BATCH_SIZE = 32
LEARNING_RATE = 2e-3


def inputs(images: Array) -> Mapping[str, Array]:
    """Uint8 (N, 28, 28) -> the upper and the lower half, each float32 (N, 14, 28) with values 0..255."""
    halves = images.astype(np.float32)
    return {"top": halves[:, :14], "bottom": halves[:, 14:]}


def targets(labels: Array) -> Mapping[str, Array]:
    """int64 (N,) -> `digit`, the same, and `parity`, float32 (N, 1): 1 when odd."""
    return {"digit": labels, "parity": (labels % 2).astype(np.float32)[:, np.newaxis]}


def build(classes: int) -> keras.Model:
    """{top, bottom}: (N, 14, 28) float32 in 0..255 -> {digit: (N, classes), parity: (N, 1)} probabilities."""
    top = keras.Input((14, 28), name="top")
    bottom = keras.Input((14, 28), name="bottom")
    branches = []
    for half in (top, bottom):
        x = keras.layers.Rescaling(1 / 255)(half)
        x = keras.layers.Flatten()(x)
        branches.append(keras.layers.Dense(64, activation="relu", name=f"{half.name}_features")(x))
    merged = keras.layers.Concatenate()(branches)
    merged = keras.layers.Dense(64, activation="relu", name="merged")(merged)
    digit = keras.layers.Dense(classes, activation="softmax", name="digit")(merged)
    parity = keras.layers.Dense(1, activation="sigmoid", name="parity")(merged)
    model = keras.Model({"top": top, "bottom": bottom}, {"digit": digit, "parity": parity}, name="two_branch")
    model.compile(
        optimizer="adam",
        loss={"digit": "sparse_categorical_crossentropy", "parity": "binary_crossentropy"},
        metrics={"digit": "accuracy", "parity": "accuracy"},
    )
    return model
