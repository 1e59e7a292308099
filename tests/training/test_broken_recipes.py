"""What is wrong with a recipe is found before the first epoch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from modelport.errors import FailedPrecondition, InvalidArgument
from modelport_training import Settings, train
from tests.support.recipes import DENSE, HEAD

Module = Callable[[str, str], str]

BROKEN = {
    "classes that the model does not answer": (
        "def load_data(): return (X[:40], np.arange(40) % 4), (X[40:], np.arange(20) % 4)\n"
        "def build(c): return keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])",
        "an answer for each of 4 classes.*Received: 2 outputs",
    ),
    "data without an end": (
        "def load_data(): return tf.data.Dataset.from_tensor_slices((X, Y)).repeat().batch(8), (X, Y)\n" + DENSE,
        "a tf.data.Dataset that ends",
    ),
    "data that raise": (
        "def load_data(): raise RuntimeError('boom')\n" + DENSE,
        r"to load its data.*boom.*broken_\d+.py:\d+",
    ),
    "a layer that cannot be loaded": (
        """
class Odd(keras.layers.Layer):
    def __init__(self, size):
        super().__init__()
        self.size = size
    def call(self, x):
        return x * self.size
def build(classes):
    return keras.Sequential([keras.Input((4,)), Odd(2.0), keras.layers.Dense(1)])
""",
        "to be saved and loaded again, tried before the first epoch",
    ),
    "a loss that fails": (
        """
def wrong(y, p):
    return y["no"] - p
def build(classes):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile("adam", wrong)
    return model
""",
        r"to train on a batch.*broken_\d+\.py:\d+",
    ),
    "inputs that do not fit": (
        "def build(c): return keras.Sequential([keras.Input((5,)), keras.layers.Dense(1)])",
        r"to take its inputs.*to have value 5",
    ),
    "examples that differ from pass to pass": (
        """
def load_data():
    whole = tf.data.Dataset.from_tensor_slices((X, Y))
    return whole.take(40).shuffle(40).batch(8), whole.skip(40).batch(8)
"""
        + DENSE,
        "the same order at every pass",
    ),
    "an average of weights": (
        DENSE.replace("return keras", "model = keras")
        + '    model.compile(keras.optimizers.SGD(use_ema=True), "mse")\n    return model',
        "without use_ema",
    ),
    "a metric that is not measured": ("MONITOR = 'val_acc'\n" + DENSE, "MONITOR.*val_loss.*Received: 'val_acc'"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_what_is_wrong_is_found_before_the_first_epoch(module: Module, tmp_path: Path, fault: str) -> None:
    text, said = BROKEN[fault]
    name = module(f"broken_{list(BROKEN).index(fault)}", HEAD + text)
    with pytest.raises((FailedPrecondition, InvalidArgument), match=said):
        train(Settings(recipe=name, output=tmp_path / "run"), stream=None)
    assert not (tmp_path / "run/run.json").exists(), "nothing has to be overwritten"
