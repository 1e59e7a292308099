"""Arrays in memory to batches for Keras, by tf.data.

The order of the examples is a function of (seed, epoch) alone, so a resumed run sees the batches that it would have
seen. The examples lie in memory as raw values, a quarter of the floats, so there is nothing to cache but the batches
of the validation and held-out examples, which are the same every time.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from modelport.errors import InvalidArgument
from modelport_training.datasets.dataset import Array, Dataset
from modelport_training.recipe import Arrays, Recipe

VALIDATION_EVERY = 10  # one training example in so many is set aside to decide when to stop
EVALUATION_BATCH = 512


class Pipeline:
    """The batches of one dataset for one recipe.

    Raises:
        InvalidArgument: the recipe takes other images than the dataset has.
    """

    def __init__(self, recipe: Recipe, dataset: Dataset, batch_size: int, seed: int) -> None:
        check_fit(recipe, dataset)
        self._recipe = recipe
        self._seed = seed
        self.batch_size = batch_size
        # The same examples whatever the seed, so that runs can be compared.
        shuffled = np.random.default_rng(0).permutation(len(dataset.train_images))
        validation = max(1, len(shuffled) // VALIDATION_EVERY)
        self._train = self._tensors(dataset.train_images, dataset.train_labels, shuffled[validation:])
        self.examples = len(shuffled) - validation
        self.steps = -(-self.examples // batch_size)
        if self.examples == 0:
            raise InvalidArgument(f"Expected 2 training examples or more in {dataset.name!r}. Received: 1.")
        self.validation = self._in_order(dataset.train_images, dataset.train_labels, shuffled[:validation])
        self.held_out = self._in_order(dataset.test_images, dataset.test_labels, np.arange(len(dataset.test_images)))

    def epoch(self, number: int) -> Any:
        """The training batches of an epoch, as a tf.data.Dataset: every example once, in the epoch's own order."""
        order = np.random.default_rng((self._seed, number)).permutation(self.examples)
        indices = tf.data.Dataset.from_tensor_slices(order).batch(self.batch_size)
        return indices.map(self._gather, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)

    def _gather(self, indices: Any) -> Any:
        return self._prepared(*keras.tree.map_structure(lambda tensor: tf.gather(tensor, indices), self._train))

    def _in_order(self, images: Array, labels: Array, rows: Array) -> Any:
        batches = tf.data.Dataset.from_tensor_slices(self._tensors(images, labels, rows)).batch(EVALUATION_BATCH)
        return batches.map(self._prepared).cache().prefetch(tf.data.AUTOTUNE)

    def _tensors(self, images: Array, labels: Array, rows: Array) -> Any:
        return keras.tree.map_structure(tf.constant, examples(self._recipe, images[rows], labels[rows]))

    def _prepared(self, inputs: Any, targets: Any) -> Any:
        image = self._recipe.image
        return (inputs if image is None else image.preprocess(inputs)), targets


def examples(recipe: Recipe, images: Array, labels: Array) -> tuple[Arrays, Arrays]:
    """Raw inputs and targets as the recipe wants them; an image classifier takes images and labels as they are."""
    return (
        images if recipe.inputs is None else recipe.inputs(images),
        labels if recipe.targets is None else recipe.targets(labels),
    )


def check_fit(recipe: Recipe, dataset: Dataset) -> None:
    """Compare the images that a recipe declares with those of the dataset.

    Raises:
        InvalidArgument: they differ in size, channels or dtype.
    """
    image, images = recipe.image, dataset.train_images
    if image is not None and (images.shape[1:] != image.raw_shape or images.dtype != np.uint8):
        raise InvalidArgument(
            f"Expected uint8 images (N, {', '.join(map(str, image.raw_shape))}), because the recipe {recipe.module!r} "
            f"declares them by IMAGE. Received: {images.dtype} {images.shape} from the dataset {dataset.name!r}. "
            "Choose another dataset, or a recipe whose IMAGE fits."
        )
