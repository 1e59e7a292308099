"""Models of images: classifiers, and those that are none."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from modelport import manifest
from modelport.errors import InvalidArgument
from modelport_export import ImageInput, publish
from tests.export.situations.support import (
    IMAGES,
    check,
    image_model,
    layers,
    ops,
)

# Keras warns of models that are built by a call; here they are what users have.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@pytest.mark.parametrize("kind", ["one probability", "a regression", "two heads"])
def test_an_image_model_that_is_no_classifier(tmp_path, kind):
    image = keras.Input((8, 8, 3), name="image")
    flat = layers.Flatten()(image)
    outputs = {
        "one probability": {"defect": layers.Dense(1, "sigmoid")(flat)},
        "a regression": {"age": layers.Dense(1)(flat)},
        "two heads": {"kind": layers.Dense(3, "softmax")(flat), "size": layers.Dense(1)(flat)},
    }[kind]
    model = keras.Model(image, outputs)
    expected = model(IMAGES / np.float32(255))
    given = {"image": ImageInput(8, 8, 3)}
    check(model, {"image": IMAGES}, expected, tmp_path, **given)


def test_channels_first(tmp_path):
    image = keras.Input((3, 8, 8), name="image")
    x = layers.Conv2D(4, 3, activation="relu")(layers.Permute((2, 3, 1))(image))
    model = keras.Model(image, layers.Dense(5, "softmax")(layers.Flatten()(x)))
    expected = {"probabilities": model(IMAGES.transpose(0, 3, 1, 2) / np.float32(255))}
    given = {"image": ImageInput(8, 8, 3, shape=(3, 8, 8))}
    check(model, {"image": IMAGES}, expected, tmp_path, **given)


@pytest.mark.parametrize("shape", [(8, 3, 8), (3, 64), (8, 8, 3, 1, 2)])
def test_pixels_are_not_reshaped_into_other_places(shape):
    with pytest.raises(InvalidArgument, match=r"change places|values, because"):
        ImageInput(8, 8, 3, shape=shape)


@pytest.mark.parametrize("activation", [tf.nn.softmax, lambda x: keras.activations.softmax(x)])
def test_softmax_is_not_applied_twice(tmp_path, activation):
    model = keras.Sequential([keras.Input((8, 8, 3), name="image"), layers.Flatten(), layers.Dense(4, activation)])
    expected = {"probabilities": model(IMAGES / np.float32(255))}
    given = {"image": ImageInput(8, 8, 3)}
    check(model, {"image": IMAGES}, expected, tmp_path, **given)


def test_scores_that_may_be_either_are_asked_about(tmp_path):
    model = keras.Sequential(
        [keras.Input((8, 8, 3), name="image"), layers.Flatten(), layers.Dense(4, lambda x: ops.sigmoid(x))]
    )
    given = {"name": "m", "repository": tmp_path, "image": ImageInput(8, 8, 3), "samples": {"image": IMAGES}}
    with pytest.raises(InvalidArgument, match="--scores probabilities or --scores logits"):
        publish(model, **given)
    assert publish(model, **given, scores="probabilities").new


def test_the_activation_of_another_output_says_nothing(tmp_path):
    """Of a nested model with probabilities and logits, the logits were published as probabilities."""
    x = keras.Input((192,))
    logits = layers.Dense(4)(x)
    inner = keras.Model(x, [layers.Activation("softmax")(logits), logits])
    given = {"name": "m", "repository": tmp_path, "image": ImageInput(8, 8, 3), "samples": {"image": IMAGES}}
    published = publish(image_model(lambda flat: inner(flat)[1]), **given, labels=["a", "b", "c", "d"])
    assert any("softmax is applied" in note for note in manifest.read(published.path).proof["notes"])


def test_numbers_of_an_image_are_no_logits_by_themselves(tmp_path):
    """The two coordinates of a landmark were put through softmax."""
    given = {"name": "m", "repository": tmp_path, "image": ImageInput(8, 8, 3), "samples": {"image": IMAGES}}
    landmark = image_model(lambda flat: layers.Dense(2, name="place")(flat))
    with pytest.raises(InvalidArgument, match=r"--labels FILE or --scores logits.*--scores none"):
        publish(landmark, **given)
    published = publish(landmark, **given, scores="none")
    assert list(manifest.read(published.path).signatures["serving_default"]["outputs"]) == ["place"]


@pytest.mark.parametrize(
    "pixels",
    [IMAGES[0], IMAGES[:, :7], np.array(["a", "b"]), IMAGES / 255, IMAGES[0, 0, 0, 0]],
    ids=lambda p: str(p.shape),
)
def test_pixels_that_are_none_are_refused_in_a_sentence(tmp_path, pixels):
    model = image_model(lambda flat: layers.Dense(2)(flat))
    given = {"image": ImageInput(8, 8, 3), "labels": ["a", "b"], "samples": {"image": pixels}}
    with pytest.raises(InvalidArgument):
        publish(model, name="m", repository=tmp_path, **given)
