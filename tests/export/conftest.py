"""Keras models of a few weights, and a TF1 session that runs a SavedModel the way the real server does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from modelport_export import calling, savedmodel
from modelport_export.checks import check_model
from modelport_export.servable import Generic

layers = keras.layers


@pytest.fixture(autouse=True)
def seed():
    keras.utils.set_random_seed(7)


@pytest.fixture
def describe():
    """The `serving_default` signature of a model, as input and output names."""

    def describe(model, samples=None, input_signature=None):
        check_model(model, allow_lambda=False)
        return Generic(model, calling.describe(model, samples, input_signature)).endpoints["serving_default"].signature

    return describe


@pytest.fixture
def write(tmp_path):
    """Write a servable's SavedModel."""

    def write(servable, name="model") -> Path:
        folder = tmp_path / name
        folder.mkdir()
        savedmodel.write(folder, servable.endpoints, servable.holders)
        return folder

    return write


def run_signature(folder: Path, signature: str, feeds: dict[str, Any]) -> dict[str, np.ndarray]:
    """Feed a signature by tensor name in a session of its own."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        meta_graph = tf.compat.v1.saved_model.loader.load(session, ["serve"], str(folder))
        definition = meta_graph.signature_def[signature]
        fetches = {alias: info.name for alias, info in definition.outputs.items()}
        return session.run(fetches, {definition.inputs[alias].name: value for alias, value in feeds.items()})


@pytest.fixture
def run():
    return run_signature


def digits_model(units=10, activation="softmax", seed=1):
    """784 pixels, a hidden layer, class scores."""
    initializer = keras.initializers.RandomNormal(seed=seed)
    return keras.Sequential(
        [
            keras.Input((784,)),
            layers.Dense(4, activation="relu", kernel_initializer=initializer),
            layers.Dense(units, activation=activation, kernel_initializer=initializer),
        ]
    )


@pytest.fixture
def digits():
    return digits_model


@pytest.fixture
def images():
    """Sixteen raw grey images of noise."""
    return np.random.default_rng(3).integers(0, 256, (16, 28, 28), np.uint8)
