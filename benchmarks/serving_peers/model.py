"""The model that all servers serve: 784 → 128 relu → 10 softmax, with its requests and the answers expected of it.

It is a Keras model that modelport publishes, so that our server treats it as it treats its users' models. Run as a
script it publishes: TensorFlow then stays out of the process that measures.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from serving_peers.checkouts import HERE, environment

NAME = "dense"
VERSION = 1
INPUT, OUTPUT = "pixels", "probabilities"
PIXELS, HIDDEN, CLASSES = 784, 128, 10
SAMPLES = 64  # rows that the publishing proves the version on
PUBLISH_S = 180.0

Array = np.ndarray[Any, np.dtype[np.float32]]


def write(repository: Path) -> Path:
    """Publish `<repository>/dense/1` in a process of its own; returns the model's base path.

    Raises:
        RuntimeError: it was not published; the text is what the process last said.
    """
    command = [sys.executable, "-m", "serving_peers.model", str(repository)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=PUBLISH_S, env=environment(HERE), cwd=HERE / "benchmarks"
    )
    if done.returncode:
        raise RuntimeError(f"the model was not published: {done.stderr.strip()[-300:]}")
    return repository / NAME


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


def _publish(repository: str) -> None:
    import keras

    from modelport_export import publish

    pixels = keras.Input((PIXELS,), name=INPUT)
    hidden = keras.layers.Dense(HIDDEN, activation="relu")(pixels)
    outputs = keras.layers.Dense(CLASSES, activation="softmax", name=OUTPUT)(hidden)
    dense = keras.Model(pixels, outputs)
    dense.set_weights(_weights())
    publish(dense, name=NAME, repository=repository, samples={INPUT: request(SAMPLES)})


if __name__ == "__main__":
    _publish(sys.argv[1])
