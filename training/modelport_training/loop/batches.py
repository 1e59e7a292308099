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

from modelport import evaluation_rows
from modelport.errors import InvalidArgument
from modelport_training.datasets.dataset import Dataset
from modelport_training.datasets.examples import Array, Examples, Stream, flatten, map_tree
from modelport_training.recipe import Recipe

VALIDATION_EVERY = 10  # one training example in so many is set aside to decide when to stop
EVALUATION_BATCH = 512
WINDOW_BYTES = 64 * 2**20  # of examples that a stream is shuffled among
EVALUATION_BYTES = 8 * 2**20  # of a batch of a stream
_MEASURED = 64  # examples, to know how large they are
MOST_WINDOW = 100_000  # examples


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
        train, validation = _in_memory(dataset.train), dataset.validation
        if validation is None:
            # The same examples whatever the seed, so that runs can be compared.
            shuffled = np.random.default_rng(0).permutation(len(train))
            aside = max(1, len(shuffled) // VALIDATION_EVERY)
            train, validation = train.take(shuffled[aside:]), train.take(shuffled[:aside])
            if not len(train):
                raise InvalidArgument(f"Expected 2 training examples or more in {dataset.name!r}. Received: 1.")
        weighted = _weighted(prepared(recipe, train), class_weight)
        self.examples, self.validation_examples = len(train), len(validation)
        self.steps = -(-self.examples // batch_size)
        self.train = tensors(weighted)
        self.validation_tensors = tensors(prepared(recipe, _in_memory(validation)))
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
        return _preprocess(self._recipe, *batch)

    @property
    def held_out(self) -> Any:
        """The held-out batches, as a tf.data.Dataset."""
        if isinstance(self._test, Stream):
            return _evaluated_stream(self._recipe, self._test)
        return self._in_order(tensors(prepared(self._recipe, self._test)))

    def rows(self, most: int | None) -> Examples:
        """The first held-out rows, raw; None for as many as may go along."""
        return _rows(self._recipe, self._test, most)

    def answers(self, model: Any, rows: Examples) -> Any:
        """What a model answers to raw rows: as it gives it, in arrays."""
        return _answers(self._recipe, model, rows)

    def _in_order(self, raw: Any) -> Any:
        return _evaluated(self._recipe, tf.data.Dataset.from_tensor_slices(raw))


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
        return batches.map(lambda *batch: _preprocess(self._recipe, *batch)).prefetch(1)

    @property
    def held_out(self) -> Any:
        """The held-out batches, as a tf.data.Dataset."""
        return self._split(self._test)

    def rows(self, most: int | None) -> Examples:
        """The first held-out rows, raw; None for as many as may go along."""
        return _rows(self._recipe, self._test, most)

    def answers(self, model: Any, rows: Examples) -> Any:
        """What a model answers to raw rows: as it gives it, in arrays."""
        return _answers(self._recipe, model, rows)

    def _split(self, split: Examples | Stream) -> Any:
        if isinstance(split, Examples):
            return _evaluated(self._recipe, tf.data.Dataset.from_tensor_slices(tensors(split)))
        return _evaluated_stream(self._recipe, split)


Batches = InMemory | Streamed


def batches_of(
    recipe: Recipe, dataset: Dataset, batch_size: int, seed: int, class_weight: Mapping[int, float] | None = None
) -> Batches:
    """The batches of a dataset, by where it lies; see `InMemory`."""
    if isinstance(dataset.train, Stream):
        return Streamed(recipe, dataset.train, dataset, batch_size, seed, class_weight)
    return InMemory(recipe, dataset, batch_size, seed, class_weight)


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


def _preprocess(recipe: Recipe, inputs: Any, *others: Any) -> Any:
    return (inputs if recipe.image is None else recipe.image.preprocess(inputs)), *others


def _evaluated(recipe: Recipe, examples: Any) -> Any:
    batches = examples.batch(EVALUATION_BATCH).map(lambda *batch: _preprocess(recipe, *batch))
    return batches.prefetch(tf.data.AUTOTUNE)


def _evaluated_stream(recipe: Recipe, stream: Stream) -> Any:
    """Batches of a stream, smaller ones where an example is large."""
    examples = stream.make()
    rows = max(1, min(EVALUATION_BATCH, EVALUATION_BYTES // _size(examples)))
    batches = examples.batch(rows).map(lambda *batch: _preprocess(recipe, *batch))
    return _counted(batches, -(-len(stream) // rows)).prefetch(1)


def _counted(batches: Any, count: int) -> Any:
    """The batches with their number, which Keras would else find out by running out of them."""
    return batches.apply(tf.data.experimental.assert_cardinality(count))


def _every(make: Any, *, without: bool) -> Any:
    """The examples but every tenth, or every tenth."""

    def keep(place: Any, _: Any) -> Any:
        return (place % VALIDATION_EVERY != 0) if without else (place % VALIDATION_EVERY == 0)

    return lambda: make().enumerate().filter(keep).map(lambda _, example: example)


def _answers(recipe: Recipe, model: Any, rows: Examples) -> Any:
    parts = []
    for begin in range(0, len(rows), EVALUATION_BATCH):
        some = map_tree(tf.constant, rows.take(slice(begin, begin + EVALUATION_BATCH)).inputs)
        parts.append(model(_preprocess(recipe, some)[0], training=False))
    return keras.tree.map_structure(lambda *each: np.concatenate([np.asarray(one) for one in each]), *parts)


def _in_memory(split: Examples | Stream) -> Examples:
    return split if isinstance(split, Examples) else _take(split, len(split))


def _take(stream: Stream, count: int) -> Examples:
    """The first examples of a stream as arrays."""
    return Examples(*next(iter(stream.make().take(count).batch(max(count, 1)).as_numpy_iterator())))


def _rows(recipe: Recipe, test: Examples | Stream, most: int | None) -> Examples:
    if isinstance(test, Examples):
        return prepared(recipe, test if most is None else test.take(slice(0, most)))
    if most is None:
        one = sum(leaf.nbytes for leaf in flatten((lambda row: (row.inputs, row.targets))(_take(test, 1))))
        most = max(1, min(len(test), evaluation_rows.MOST_ROWS, evaluation_rows.MOST_BYTES // max(one, 1)))
    return _take(test, most)


def _weighted(examples: Examples, class_weight: Mapping[int, float] | None) -> Examples:
    if class_weight is None:
        return examples
    labels = examples.targets
    if not isinstance(labels, np.ndarray) or labels.dtype.kind not in "iu" or labels.ndim != 1:
        raise InvalidArgument("Expected whole numbers (N,) as targets, because classes are to be weighted.")
    factors = np.vectorize(lambda label: float(class_weight.get(int(label), 1.0)), otypes=[np.float32])(labels)
    return Examples(examples.inputs, labels, factors if examples.weights is None else (factors * examples.weights))


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
