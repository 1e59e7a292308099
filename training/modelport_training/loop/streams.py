"""The batches of a dataset that is read anew for every epoch, in memory that does not grow with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from modelport.errors import InvalidArgument
from modelport_training.datasets.dataset import Dataset
from modelport_training.datasets.examples import Examples, Stream, flatten
from modelport_training.loop.rows import EVALUATION_BATCH, answers_to, evaluated, held_out_rows, preprocessed, tensors
from modelport_training.recipe import Recipe

VALIDATION_EVERY = 10  # one training example in so many is set aside to decide when to stop
WINDOW_BYTES = 64 * 2**20  # of examples that a stream is shuffled among
MOST_WINDOW = 100_000  # examples
EVALUATION_BYTES = 8 * 2**20  # of a batch of a stream
_MEASURED = 64  # examples, to know how large they are


class Streamed:
    """The batches of a dataset that is read anew for every epoch; see `InMemory`."""

    streamed = True

    def __init__(
        self,
        recipe: Recipe,
        train: Stream,
        dataset: Dataset,
        batch_size: int,
        seed: int,
        class_weight: Mapping[int, float] | None = None,
    ) -> None:
        if recipe.inputs is not None or recipe.targets is not None:
            raise InvalidArgument(
                f"Expected the recipe {recipe.module!r} to prepare a tf.data.Dataset within load_data(): inputs() and "
                "targets() take whole arrays, which a stream has not."
            )
        self._recipe, self._seed, self.batch_size, self._weights = recipe, seed, batch_size, class_weight
        count, make, validation = len(train), train.make, dataset.validation
        self._make = make
        if validation is None:
            self._make, aside = _every(make, without=True), _every(make, without=False)
            validation = Stream(aside, -(-count // VALIDATION_EVERY), "")
            count -= len(validation)
        self.examples, self.validation_examples, self.test_examples = count, len(validation), len(dataset.test)
        self.steps = -(-count // batch_size)
        if not count:
            raise InvalidArgument(f"Expected 2 training examples or more in {dataset.name!r}. Received: 1.")
        self._test = dataset.test
        self.validation = self._split(validation)
        self.window = max(batch_size, min(count, MOST_WINDOW, WINDOW_BYTES // _size(self._make())))

    def epoch(self, number: int) -> Any:
        """The training batches of an epoch, as a tf.data.Dataset."""
        seed = int(np.random.default_rng((self._seed, number)).integers(2**31))
        shuffled = self._make().shuffle(self.window, seed=seed, reshuffle_each_iteration=False)
        batches = _counted(shuffled.batch(self.batch_size), self.steps)
        if self._weights is not None:
            batches = batches.map(lambda *batch: _weigh(batch, self._weights or {}))
        return batches.map(lambda *batch: preprocessed(self._recipe, *batch)).prefetch(1)

    @property
    def held_out(self) -> Any:
        """The held-out batches, as a tf.data.Dataset."""
        return self._split(self._test)

    def rows(self, most: int | None) -> Examples:
        """The first held-out rows, raw; None for as many as may go along."""
        return held_out_rows(self._recipe, self._test, most)

    def answers(self, model: Any, rows: Examples) -> Any:
        """What a model answers to raw rows: as it gives it, in arrays."""
        return answers_to(self._recipe, model, rows)

    def _split(self, split: Examples | Stream) -> Any:
        if isinstance(split, Examples):
            return evaluated(self._recipe, tf.data.Dataset.from_tensor_slices(tensors(split)))
        return evaluated_stream(self._recipe, split)


def evaluated_stream(recipe: Recipe, stream: Stream) -> Any:
    """Batches of a stream, smaller ones where an example is large."""
    examples = stream.make()
    rows = max(1, min(EVALUATION_BATCH, EVALUATION_BYTES // _size(examples)))
    batches = examples.batch(rows).map(lambda *batch: preprocessed(recipe, *batch))
    return _counted(batches, -(-len(stream) // rows)).prefetch(1)


def _counted(batches: Any, count: int) -> Any:
    """The batches with their number, which Keras would else find out by running out of them."""
    return batches.apply(tf.data.experimental.assert_cardinality(count))


def _every(make: Any, *, without: bool) -> Any:
    """The examples but every tenth, or every tenth."""

    def keep(place: Any, _: Any) -> Any:
        return (place % VALIDATION_EVERY != 0) if without else (place % VALIDATION_EVERY == 0)

    return lambda: make().enumerate().filter(keep).map(lambda _, example: example)


def _weigh(batch: Any, class_weight: Mapping[int, float]) -> Any:
    inputs, labels, *weights = batch
    most = max(class_weight) + 1  # from there on every class counts 1
    table = tf.constant([class_weight.get(label, 1.0) for label in range(most + 1)], tf.float32)
    factors = tf.gather(table, tf.minimum(tf.cast(labels, tf.int32), most))
    return inputs, labels, (factors * weights[0] if weights else factors)


def _size(examples: Any) -> int:
    """Bytes of an example of a tf.data.Dataset, by its first ones."""
    first = list(examples.take(_MEASURED).as_numpy_iterator())
    total = sum(np.asarray(leaf).nbytes + _text_bytes(leaf) for example in first for leaf in flatten(example))
    return max(1, total // max(len(first), 1))


def _text_bytes(leaf: Any) -> int:
    """What texts take beside their places."""
    array = np.asarray(leaf)
    return sum(map(len, array.ravel())) if array.dtype.kind == "O" else 0
