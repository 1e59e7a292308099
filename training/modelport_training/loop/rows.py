"""Examples as a recipe wants them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from modelport import evaluation_rows
from modelport.errors import InvalidArgument
from modelport_training.datasets.dataset import Dataset
from modelport_training.datasets.examples import Examples, Stream, flatten, map_tree
from modelport_training.recipe import Recipe

EVALUATION_BATCH = 512


def prepared(recipe: Recipe, examples: Examples) -> Examples:
    """Raw inputs and targets as the recipe wants them; an image classifier takes images and labels as they are."""
    if recipe.inputs is None and recipe.targets is None:
        return examples
    return Examples(
        examples.inputs if recipe.inputs is None else recipe.inputs(examples.inputs),
        examples.targets if recipe.targets is None else recipe.targets(examples.targets),
        examples.weights,
    )


def tensors(examples: Examples) -> Any:
    """(inputs, targets), with the weights as a third where there are any."""
    weights = () if examples.weights is None else (examples.weights,)
    return map_tree(tf.constant, (examples.inputs, examples.targets, *weights))


def check_fit(recipe: Recipe, dataset: Dataset) -> None:
    """Compare the images that a recipe declares with those of the dataset.

    Raises:
        InvalidArgument: they differ in size, channels or dtype.
    """
    image = recipe.image
    if image is None or not isinstance(dataset.train, Examples):
        return
    images = dataset.train.inputs
    if not isinstance(images, np.ndarray) or images.shape[1:] != image.raw_shape or images.dtype != np.uint8:
        received = f"{images.dtype} {images.shape}" if isinstance(images, np.ndarray) else type(images).__name__
        raise InvalidArgument(
            f"Expected uint8 images (N, {', '.join(map(str, image.raw_shape))}), because the recipe {recipe.module!r} "
            f"declares them by IMAGE. Received: {received} from the dataset {dataset.name!r}. "
            "Choose another dataset, or a recipe whose IMAGE fits."
        )


def preprocessed(recipe: Recipe, inputs: Any, *others: Any) -> Any:
    """A raw batch as the model takes it."""
    return (inputs if recipe.image is None else recipe.image.preprocess(inputs)), *others


def evaluated(recipe: Recipe, examples: Any) -> Any:
    """Batches of the examples of a tf.data.Dataset, in their order."""
    batches = examples.batch(EVALUATION_BATCH).map(lambda *batch: preprocessed(recipe, *batch))
    return batches.prefetch(tf.data.AUTOTUNE)


def answers_to(recipe: Recipe, model: Any, rows: Examples) -> Any:
    """What a model answers to raw rows: as it gives it, in arrays."""
    parts = []
    for begin in range(0, len(rows), EVALUATION_BATCH):
        some = map_tree(tf.constant, rows.take(slice(begin, begin + EVALUATION_BATCH)).inputs)
        parts.append(model(preprocessed(recipe, some)[0], training=False))
    return keras.tree.map_structure(lambda *each: np.concatenate([np.asarray(one) for one in each]), *parts)


def in_memory(split: Examples | Stream) -> Examples:
    """A split in memory."""
    return split if isinstance(split, Examples) else first(split, len(split))


def first(stream: Stream, count: int) -> Examples:
    """The first examples of a stream as arrays."""
    return Examples(*next(iter(stream.make().take(count).batch(max(count, 1)).as_numpy_iterator())))


def held_out_rows(recipe: Recipe, test: Examples | Stream, most: int | None) -> Examples:
    """The first rows of a split, raw; None for as many as may go along."""
    if isinstance(test, Examples):
        return prepared(recipe, test if most is None else test.take(slice(0, most)))
    if most is None:
        one = sum(leaf.nbytes for leaf in flatten((lambda row: (row.inputs, row.targets))(first(test, 1))))
        most = max(1, min(len(test), evaluation_rows.MOST_ROWS, evaluation_rows.MOST_BYTES // max(one, 1)))
    return first(test, most)


def weighted(examples: Examples, class_weight: Mapping[int, float] | None) -> Examples:
    """The examples, each with the weight of its class.

    Raises:
        InvalidArgument: the targets are no classes.
    """
    if class_weight is None:
        return examples
    labels = examples.targets
    if not isinstance(labels, np.ndarray) or labels.dtype.kind not in "iu" or labels.ndim != 1:
        raise InvalidArgument("Expected whole numbers (N,) as targets, because classes are to be weighted.")
    factors = np.vectorize(lambda label: float(class_weight.get(int(label), 1.0)), otypes=[np.float32])(labels)
    return Examples(examples.inputs, labels, factors if examples.weights is None else (factors * examples.weights))
