"""The model that all servers serve: 784 → 128 relu → 10 softmax, with its requests and the answers expected of it.

Run as a script it writes the SavedModel: TensorFlow then stays out of the process that measures.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

NAME = "dense"
VERSION = 1
INPUT, OUTPUT = "pixels", "probabilities"
PIXELS, HIDDEN, CLASSES = 784, 128, 10

Array = np.ndarray[Any, np.dtype[np.float32]]


def write(repository: Path) -> Path:
    """Write `<repository>/dense/1` in a process of its own; returns the model's base path."""
    base = repository / NAME
    subprocess.run([sys.executable, __file__, str(base / str(VERSION))], check=True, capture_output=True, timeout=120)
    return base


def request(rows: int) -> Array:
    """Pixels between 0 and 1, as float32 of the shape (rows, 784); none is a round number, which JSON has to carry."""
    return np.random.default_rng(rows).random((rows, PIXELS), np.float32)


def answer(pixels: Array) -> Array:
    """What the model makes of `pixels`, computed by numpy: float32 of the shape (rows, 10)."""
    w1, b1, w2, b2 = _weights()
    logits = np.maximum(pixels @ w1 + b1, 0) @ w2 + b2
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)


def _weights() -> tuple[Array, Array, Array, Array]:
    rng = np.random.default_rng(0)
    w1 = rng.normal(0, PIXELS**-0.5, (PIXELS, HIDDEN)).astype(np.float32)
    w2 = rng.normal(0, HIDDEN**-0.5, (HIDDEN, CLASSES)).astype(np.float32)
    return w1, np.full(HIDDEN, 0.01, np.float32), w2, np.zeros(CLASSES, np.float32)


def _save(folder: str) -> None:
    import tensorflow as tf

    module = tf.Module()
    module.w1, module.b1, module.w2, module.b2 = w1, b1, w2, b2 = [tf.Variable(value) for value in _weights()]

    @tf.function(input_signature=[tf.TensorSpec([None, PIXELS], tf.float32, name=INPUT)])
    def call(pixels: Any) -> dict[str, Any]:
        return {OUTPUT: tf.nn.softmax(tf.nn.relu(pixels @ w1 + b1) @ w2 + b2)}

    tf.saved_model.save(module, folder, signatures={"serving_default": call})


if __name__ == "__main__":
    _save(sys.argv[1])
