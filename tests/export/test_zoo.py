"""Models that people have: published at open size, served, and equal to Keras."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from modelport import manifest
from modelport_export import calling, publish

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::UserWarning")]

layers = keras.layers
GENERATOR = np.random.default_rng(0)


def open_size(make):
    """An application without its head, for images of any size.

    The proof halves them, and they must not get smaller than the last filters: TensorFlow's depthwise convolution then
    reads memory that nobody has written.
    """
    model = make(weights=None, include_top=False, pooling="avg", input_shape=(None, None, 3))
    return model, {
        next(iter(calling.describe(model).specs)): GENERATOR.uniform(0, 255, (4, 64, 80, 3)).astype(np.float32)
    }


def tokens(make):
    hub = pytest.importorskip("keras_hub", reason="`make setup` installs it")
    small = {"vocabulary_size": 90, "num_layers": 2, "num_heads": 2, "hidden_dim": 16, "intermediate_dim": 32}
    model = make(hub)(**small, max_sequence_length=24)
    ids = GENERATOR.integers(0, 90, (6, 12)).astype(np.int32)
    known = {"token_ids": ids, "segment_ids": ids % 2, "padding_mask": (np.arange(12) < 9).astype(np.int32) + 0 * ids}
    return model, {name: known[name] for name in model.input}


def quantized():
    model = keras.Sequential([keras.Input((16,), name="x"), layers.Dense(32, "relu"), layers.Dense(4)])
    model.quantize("int8")
    return model, {"x": GENERATOR.standard_normal((8, 16)).astype(np.float32)}


def adapted():
    """LoRA: the kernel and what was learned beside it."""
    x = keras.Input((16,), name="x")
    dense = layers.Dense(8)
    model = keras.Model(x, layers.Dense(4)(dense(x)))
    dense.enable_lora(2)
    dense.lora_kernel_b.assign(GENERATOR.standard_normal((2, 8)))
    return model, {"x": GENERATOR.standard_normal((8, 16)).astype(np.float32)}


MODELS = {
    "MobileNetV3Small": lambda: open_size(keras.applications.MobileNetV3Small),
    "EfficientNetB0": lambda: open_size(keras.applications.EfficientNetB0),
    "BERT": lambda: tokens(lambda hub: hub.models.BertBackbone),
    "GPT-2": lambda: tokens(lambda hub: hub.models.GPT2Backbone),
    "int8": quantized,
    "LoRA": adapted,
}


@pytest.mark.parametrize("name", MODELS)
def test_it_is_published_and_equal(tmp_path, name):
    keras.utils.set_random_seed(1)
    model, samples = MODELS[name]()
    published = publish(model, name="m", repository=tmp_path, samples=samples)
    facts = manifest.read(published.path)
    assert facts.proof["verdict"] == "proven"
    sizes = facts.signatures["serving_default"]["inputs"]
    assert {alias: spec["shape"] for alias, spec in sizes.items()} == {
        alias: [-1 if size is None else size for size in tensor.shape]
        for alias, tensor in zip(sizes, model.inputs, strict=True)
    }
    expected = keras.tree.flatten(model(dict(samples) if len(samples) > 1 else next(iter(samples.values()))))
    loaded = tf.saved_model.load(str(published.path)).signatures["serving_default"]
    answers = loaded(**{alias: tf.constant(array) for alias, array in samples.items()}).values()
    for want, have in zip(by_size(expected), by_size(answers), strict=True):
        np.testing.assert_allclose(have, want, rtol=1e-4, atol=1e-5 * (1 + np.abs(want).max()))


def by_size(tensors):
    return sorted((np.asarray(tensor) for tensor in tensors), key=lambda array: (array.size, float(array.sum())))
