"""Faults put into what is exported on purpose: the proof finds each of them, and passes what has none."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from modelport.errors import FailedPrecondition
from modelport_export import ImageInput, classifier, publish, savedmodel, servable

layers = keras.layers
X = np.random.default_rng(0).standard_normal((12, 4)).astype(np.float32)
IMAGES = np.random.default_rng(1).integers(0, 256, (12, 6, 6, 3), np.uint8)


def tabular():
    keras.utils.set_random_seed(3)
    x, y = keras.Input((4,), name="x"), keras.Input((4,), name="y")
    hidden = layers.Dense(8, "tanh", name="hidden")(layers.Concatenate()([x, y * 2.0]))
    return keras.Model({"x": x, "y": y}, {"low": layers.Dense(2)(hidden), "high": layers.Dense(2)(hidden)})


def pictures():
    keras.utils.set_random_seed(4)
    image = keras.Input((6, 6, 3), name="image")
    return keras.Model(image, layers.Dense(3)(layers.Flatten()(layers.Conv2D(2, 3, activation="relu")(image))))


def publish_tabular(folder):
    return publish(tabular(), name="m", repository=folder, samples={"x": X, "y": X[::-1] + 1})


def publish_pictures(folder):
    labels = ["cat", "dog", "cow"]
    image = ImageInput(6, 6, 3)
    return publish(pictures(), name="m", repository=folder, image=image, labels=labels, samples={"image": IMAGES})


def change_answer(change):
    """A fault between the model and its outputs, in the graph only."""

    def mutate(patch):
        serve = servable.Generic.serve
        patch.setattr(servable.Generic, "serve", lambda self, tensors: change(serve(self, tensors)))

    return mutate


def change_inputs(change):
    def mutate(patch):
        serve = servable.Generic.serve
        patch.setattr(servable.Generic, "serve", lambda self, tensors: serve(self, change(tensors)))

    return mutate


def change_pixels(change):
    def mutate(patch):
        preprocess = ImageInput.preprocess
        patch.setattr(ImageInput, "preprocess", lambda self, images: change(preprocess(self, images)))

    return mutate


def change_traced(change):
    """A fault in the classifier's own step behind the model's scores."""

    def mutate(patch):
        answer = classifier.ImageClassifier._answer
        patch.setattr(classifier.ImageClassifier, "_answer", lambda self, images: change(answer(self, images)))

    return mutate


def twice_softmax(patch):
    probabilities = classifier.ImageClassifier._probabilities
    patch.setattr(
        classifier.ImageClassifier, "_probabilities", lambda self, images: tf.nn.softmax(probabilities(self, images))
    )


def scaled_probabilities(patch):
    probabilities = classifier.ImageClassifier._probabilities
    patch.setattr(classifier.ImageClassifier, "_probabilities", lambda self, images: probabilities(self, images) * 1.01)


def shifted_labels(patch):
    table = classifier._label_table
    patch.setattr(classifier, "_label_table", lambda labels, workspace: table([*labels[1:], labels[0]], workspace))


def zeroed_weights(patch):
    """Between tracing and writing: the written weights are others than the model's that answers."""
    write = savedmodel.write

    def zero(folder, endpoints, holders):
        kernel = holders[0].get_layer("hidden").kernel
        kept = kernel.numpy()
        kernel.assign(kept * 0)
        write(folder, endpoints, holders)
        kernel.assign(kept)

    patch.setattr(savedmodel, "write", zero)


def first_rows_only(outputs):
    return {alias: tf.concat([value[:1], tf.zeros_like(value[1:])], 0) for alias, value in outputs.items()}


def mean_of_batch(outputs):
    return {alias: value + tf.reduce_mean(value, 0, keepdims=True) * 1e-2 for alias, value in outputs.items()}


def many_only(outputs):
    return {alias: value * tf.where(tf.shape(value)[0] > 40, 1.01, 1.0) for alias, value in outputs.items()}


TABULAR = {
    "outputs swapped": change_answer(lambda o: {"low": o["high"], "high": o["low"]}),
    "inputs swapped": change_inputs(lambda t: {"x": t["y"], "y": t["x"]}),
    "an input scaled": change_inputs(lambda t: {**t, "x": t["x"] * 1.001}),
    "an input dropped": change_inputs(lambda t: {**t, "y": tf.zeros_like(t["y"])}),
    "an input rounded": change_inputs(lambda t: {**t, "x": tf.cast(tf.cast(t["x"], tf.float16), tf.float32)}),
    "rows reversed": change_answer(lambda o: {alias: value[::-1] for alias, value in o.items()}),
    "features reversed": change_answer(lambda o: {**o, "low": o["low"][:, ::-1]}),
    "an output narrowed": change_answer(lambda o: {**o, "low": tf.cast(tf.cast(o["low"], tf.bfloat16), tf.float32)}),
    "another dtype": change_answer(lambda o: {**o, "low": tf.cast(o["low"] * 100, tf.int32)}),
    "an output shifted": change_answer(lambda o: {**o, "high": o["high"] + 1e-3}),
    "an output of another sign": change_answer(lambda o: {**o, "high": -o["high"]}),
    "the first row alone": change_answer(first_rows_only),
    "the mean of the batch": change_answer(mean_of_batch),
    "large batches alone": change_answer(many_only),
    "weights of a layer zeroed": zeroed_weights,
    "noise": change_answer(lambda o: {**o, "low": o["low"] + tf.random.normal(tf.shape(o["low"]))}),
}
PICTURES = {
    "softmax twice": twice_softmax,
    "probabilities scaled": scaled_probabilities,
    "labels shifted": shifted_labels,
    "pixels not scaled": change_pixels(lambda pixels: pixels * 255),
    "channels reversed": change_pixels(lambda pixels: pixels[..., ::-1]),
    "height and width swapped": change_pixels(lambda pixels: tf.transpose(pixels, (0, 2, 1, 3))),
    "class numbers from 1": change_traced(lambda a: {**a, "class_id": a["class_id"] + 1}),
}


@pytest.mark.parametrize("fault", TABULAR)
def test_a_fault_in_a_model_of_columns_is_found(tmp_path, monkeypatch, fault):
    TABULAR[fault](monkeypatch)
    with pytest.raises(FailedPrecondition, match="are not those of the model"):
        publish_tabular(tmp_path)


@pytest.mark.parametrize("fault", PICTURES)
def test_a_fault_in_an_image_classifier_is_found(tmp_path, monkeypatch, fault):
    PICTURES[fault](monkeypatch)
    with pytest.raises(FailedPrecondition, match="are not those of the model"):
        publish_pictures(tmp_path)


@pytest.mark.parametrize("make", [publish_tabular, publish_pictures])
def test_without_a_fault_it_is_proven(tmp_path, make):
    assert make(tmp_path).new


def test_enough_faults_are_tried():
    assert len(TABULAR) + len(PICTURES) >= 20
