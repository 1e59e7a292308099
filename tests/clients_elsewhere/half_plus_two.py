"""The model of TensorFlow Serving's own documentation: y = x / 2 + 2, by Predict, Classify and Regress."""

from pathlib import Path

import tensorflow as tf


def half_plus_two(folder: Path) -> Path:
    """`serving_default(x float[?]) -> y`; on tf.Examples with a float `x`: `classify_x_to_y`, `regress_x_to_y`."""
    module = tf.Module()
    module.a, module.b = tf.Variable(0.5), tf.Variable(2.0)
    examples = tf.TensorSpec([None], tf.string, name="inputs")

    def read(serialized):
        return tf.io.parse_example(serialized, {"x": tf.io.FixedLenFeature([1], tf.float32)})["x"]

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def predict(x):
        return {"y": module.a * x + module.b}

    @tf.function(input_signature=[examples])
    def classify(inputs):
        return {"scores": module.a * read(inputs) + module.b}

    @tf.function(input_signature=[examples])
    def regress(inputs):
        return {"outputs": module.a * read(inputs) + module.b}

    signatures = {"serving_default": predict, "classify_x_to_y": classify, "regress_x_to_y": regress}
    tf.saved_model.save(module, str(folder), signatures=signatures)
    return folder
