"""A dataset, as a recipe wants it, to batches.

The order of the examples is a function of (seed, epoch) alone, so a resumed run sees the batches that it would have
seen. Of what lies in memory it is a permutation; of a stream, the disk's order through a window that is shuffled.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from modelport.errors import InvalidArgument
from modelport_training.datasets.dataset import Dataset
from modelport_training.datasets.examples import Array, Examples, Stream
from modelport_training.loop.rows import (
    answers_to,
    check_fit,
    evaluated,
    held_out_rows,
    in_memory,
    prepared,
    preprocessed,
    tensors,
    weighted,
)
from modelport_training.loop.streams import VALIDATION_EVERY, Streamed, evaluated_stream
from modelport_training.recipe import Recipe


class InMemory:
    """The batches of a dataset that lies in memory, as raw values.

    Args:
        recipe: says how inputs and targets are made.
        dataset: with examples in memory.
        batch_size: examples a step.
        seed: of the order.
        class_weight: of each class; None for 1.

    Raises:
        InvalidArgument: the recipe takes other examples than the dataset has.
    """

    streamed = False

    def __init__(
        self,
        recipe: Recipe,
        dataset: Dataset,
        batch_size: int,
        seed: int,
        class_weight: Mapping[int, float] | None = None,
    ) -> None:
        check_fit(recipe, dataset)
        self._recipe, self._seed, self.batch_size = recipe, seed, batch_size
        train, validation = in_memory(dataset.train), dataset.validation
        if validation is None:
            # The same examples whatever the seed, so that runs can be compared.
            shuffled = np.random.default_rng(0).permutation(len(train))
            aside = max(1, len(shuffled) // VALIDATION_EVERY)
            train, validation = train.take(shuffled[aside:]), train.take(shuffled[:aside])
            if not len(train):
                raise InvalidArgument(f"Expected 2 training examples or more in {dataset.name!r}. Received: 1.")
        examples = weighted(prepared(recipe, train), class_weight)
        self.examples, self.validation_examples = len(train), len(validation)
        self.steps = -(-self.examples // batch_size)
        self.train = tensors(examples)
        self.validation_tensors = tensors(prepared(recipe, in_memory(validation)))
        self.validation = self._in_order(self.validation_tensors)
        self._test = dataset.test
        self.test_examples = len(dataset.test)

    def order(self, epoch: int) -> Array:
        """The rows in the order of an epoch: every example once."""
        return np.random.default_rng((self._seed, epoch)).permutation(self.examples)

    def epoch(self, number: int) -> Any:
        """The training batches of an epoch, as a tf.data.Dataset."""
        indices = tf.data.Dataset.from_tensor_slices(self.order(number)).batch(self.batch_size)
        return indices.map(self.gather, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)

    def gather(self, rows: Any) -> Any:
        """A batch of these rows."""
        return self.preprocess(keras.tree.map_structure(lambda tensor: tf.gather(tensor, rows), self.train))

    def preprocess(self, batch: Any) -> Any:
        """What the model takes, of raw values."""
        return preprocessed(self._recipe, *batch)

    @property
    def held_out(self) -> Any:
        """The held-out batches, as a tf.data.Dataset."""
        if isinstance(self._test, Stream):
            return evaluated_stream(self._recipe, self._test)
        return self._in_order(tensors(prepared(self._recipe, self._test)))

    def rows(self, most: int | None) -> Examples:
        """The first held-out rows, raw; None for as many as may go along."""
        return held_out_rows(self._recipe, self._test, most)

    def answers(self, model: Any, rows: Examples) -> Any:
        """What a model answers to raw rows: as it gives it, in arrays."""
        return answers_to(self._recipe, model, rows)

    def _in_order(self, raw: Any) -> Any:
        return evaluated(self._recipe, tf.data.Dataset.from_tensor_slices(raw))


Batches = InMemory | Streamed


def batches_of(
    recipe: Recipe, dataset: Dataset, batch_size: int, seed: int, class_weight: Mapping[int, float] | None = None
) -> Batches:
    """The batches of a dataset, by where it lies; see `InMemory`."""
    if isinstance(dataset.train, Stream):
        return Streamed(recipe, dataset.train, dataset, batch_size, seed, class_weight)
    return InMemory(recipe, dataset, batch_size, seed, class_weight)
