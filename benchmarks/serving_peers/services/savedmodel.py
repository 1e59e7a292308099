"""What all peers run: the SavedModel in a TF1-style session, as our server and TensorFlow Serving do."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf


class SavedModel:
    """Call it with pixels, float32 of the shape (rows, 784), to get probabilities, (rows, 10). Thread-safe."""

    def __init__(self, folder: str) -> None:
        graph = tf.Graph()
        with graph.as_default():
            session = tf.compat.v1.Session(graph=graph)
            signature = tf.compat.v1.saved_model.load(session, ["serve"], folder).signature_def["serving_default"]
        self._call = session.make_callable(
            signature.outputs["probabilities"].name, feed_list=[signature.inputs["pixels"].name]
        )

    def __call__(self, pixels: Any) -> np.ndarray:
        """Run the model; `pixels` may be nested lists."""
        return self._call(np.asarray(pixels, np.float32))
