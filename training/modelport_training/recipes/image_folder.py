"""A classifier of images of any size: a small convolutional network, or one of keras.applications with its weights."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import keras

from modelport.errors import InvalidArgument, NotFound
from modelport_training import task
from modelport_training.datasets.dataset import Dataset

EPOCHS = 20
BATCH_SIZE = 32
LEARNING_RATE = 1e-3

_SMALLEST = 8  # pixels of a side that are halved once more


def build_for(dataset: Dataset, backbone: str = "", weights: str = "", augment: bool = False) -> keras.Model:
    """(N, height, width, channels) float32 in 0..1 -> (N, classes) probabilities.

    Args:
        dataset: whose inputs are images.
        backbone: a function of keras.applications, such as MobileNetV2; empty for a small convolutional network.
        weights: a file of the backbone's weights, without its top; empty for random ones.
        augment: shift, turn and zoom the training images a little.

    Raises:
        InvalidArgument: the inputs are no images, or there is no such backbone.
        NotFound: there is no such file.
    """
    image = dataset.image
    if image is None:
        raise InvalidArgument(
            f"Expected a folder of images (--data FOLDER), because of the recipe 'image_folder'. Received: the data "
            f"{dataset.name!r}."
        )
    pixels = keras.Input(image.model_shape, name="pixels")
    x = pixels
    if augment:
        for layer in (keras.layers.RandomTranslation(0.1, 0.1), keras.layers.RandomRotation(0.05)):
            x = layer(x)
    x = _backbone(x, image, backbone, weights) if backbone else _small(x, min(image.height, image.width))
    return task.compiled(keras.Model(pixels, task.answer(x, dataset), name="image_folder"), dataset)


def _small(x: Any, side: int) -> Any:
    width = 16
    while True:
        x = keras.layers.Conv2D(width, 3, padding="same", activation="relu")(x)
        if side < _SMALLEST:
            return keras.layers.GlobalAveragePooling2D()(x)
        x = keras.layers.MaxPooling2D()(x)
        width, side = min(2 * width, 128), side // 2


def _backbone(x: Any, image: Any, name: str, weights: str) -> Any:
    make = getattr(keras.applications, name, None)
    known = [one for one in dir(keras.applications) if one[0].isupper()]
    if name not in known or not callable(make):
        near = difflib.get_close_matches(name, known, 1)
        raise InvalidArgument(
            f"Expected a backbone of keras.applications ({', '.join(known)}). Received: {name!r}."
            + (f" Did you mean {near[0]!r}?" if near else "")
        )
    if weights and not Path(weights).is_file():
        raise NotFound(f"Expected a file of weights. Received: {weights!r}, which does not exist.")
    if image.channels == 1:
        x = keras.layers.Concatenate()([x, x, x])
    shape = (image.height, image.width, 3)
    network = make(include_top=False, weights=weights or None, input_shape=shape, pooling="avg")
    # Each of them has its own scale of inputs, told by its module; all take 0..255 there.
    module = getattr(keras.applications, make.__module__.rpartition(".")[2], None)
    preprocess = getattr(module, "preprocess_input", None)
    raw = keras.layers.Rescaling(255.0)(x)
    return network(raw if preprocess is None else preprocess(raw))
