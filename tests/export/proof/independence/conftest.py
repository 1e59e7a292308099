"""SavedModels of one function, and what the graph proof has against them."""

from __future__ import annotations

import pytest
import tensorflow as tf

from modelport_export import savedmodel
from modelport_export.proof.independence.graph_rows import objection


@pytest.fixture
def save(tmp_path):
    """Save a function of tensors under `serving_default`; the outputs are named by a dict, or the only one is `y`."""

    def save(function, *shapes, dtype=tf.float32, held=(), folder="saved"):
        module = tf.Module()
        module.held = list(held)
        specs = [tf.TensorSpec(shape, dtype, name=f"x{number}") for number, shape in enumerate(shapes)]

        @tf.function(input_signature=specs)
        def call(*tensors):
            answer = function(*tensors)
            return answer if isinstance(answer, dict) else {"y": answer}

        tf.saved_model.save(module, str(tmp_path / folder), {"serving_default": call})
        return tmp_path / folder

    return save


@pytest.fixture
def object_to(save):
    """What keeps the graph of a function from proving its rows independent; None when it does prove it."""

    def object_to(function, *shapes, **kwargs):
        folder = save(function, *shapes, **kwargs)
        return objection(savedmodel.read(folder).meta_graphs[0], "serving_default")

    return object_to
