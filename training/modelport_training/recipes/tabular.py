"""A dense network on the raw columns of a table: numbers are normalised and texts looked up inside the model."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import keras
import numpy as np

from modelport.errors import InvalidArgument
from modelport_training import task
from modelport_training.datasets.dataset import Dataset
from modelport_training.datasets.examples import Array

EPOCHS = 20
BATCH_SIZE = 64
LEARNING_RATE = 1e-3

_MOST_WORDS = 10_000  # of a column that are told apart; rarer ones count as unknown
_MOST_COUNTED = 1_000_000  # different texts of a column that are counted at a time
_ONE_HOT = 32  # values or fewer have an input each, more an embedding


@keras.saving.register_keras_serializable(package="modelport")
class Known(keras.layers.Layer):
    """Numbers (N,) normalised to (N, 1): `(x - mean) / deviation`, and the mean where a value is missing (NaN).

    Args:
        mean: of the column.
        deviation: its standard deviation; of a constant column anything but 0.
        **kwargs: those of every Keras layer.
    """

    def __init__(self, mean: float, deviation: float, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})  # half of it would not tell 2008 from 2009
        self.mean, self.deviation = mean, deviation

    def call(self, inputs: Any) -> Any:
        """Normalise."""
        known = keras.ops.where(keras.ops.isnan(inputs), self.mean, inputs)
        return keras.ops.expand_dims((known - self.mean) / self.deviation, -1)

    def get_config(self) -> dict[str, Any]:
        """What the constructor takes."""
        return {**super().get_config(), "mean": self.mean, "deviation": self.deviation}


def build_for(dataset: Dataset, width: int = 64, depth: int = 2, dropout: float = 0.0) -> keras.Model:
    """{column: (N,) float32 or string} -> (N, classes) probabilities, or (N, 1) numbers of a regression.

    Args:
        dataset: with a dict of columns as inputs.
        width: units of each dense layer.
        depth: dense layers.
        dropout: share of units that are left out, in training.

    Raises:
        InvalidArgument: the inputs are no columns.
    """
    if not isinstance(next(dataset.training_inputs()), dict):
        raise InvalidArgument(
            "Expected a table (--data FILE --target COLUMN), because of the recipe 'tabular'. Received: the data "
            f"{dataset.name!r}."
        )
    numbers, texts = _statistics(dataset)
    inputs, parts = {}, []
    for name, (mean, deviation) in numbers.items():
        inputs[name] = keras.Input((), name=_plain(name), dtype="float32")
        parts.append(Known(mean, deviation)(inputs[name]))
    for name, words in texts.items():
        inputs[name] = keras.Input((), name=_plain(name), dtype="string")
        one_hot = len(words) < _ONE_HOT
        looked_up = keras.layers.StringLookup(vocabulary=words, output_mode="one_hot" if one_hot else "int")
        found = looked_up(inputs[name])
        if not one_hot:
            found = keras.layers.Embedding(len(words) + 1, math.ceil(len(words) ** 0.5))(found)
        parts.append(found)
    x = keras.layers.Concatenate()(parts) if len(parts) > 1 else parts[0]
    for _ in range(depth):
        x = keras.layers.Dense(width, activation="relu")(x)
        x = keras.layers.Dropout(dropout)(x) if dropout else x
    return task.compiled(keras.Model(inputs, task.answer(x, dataset), name="tabular"), dataset)


def _statistics(dataset: Dataset) -> tuple[dict[str, tuple[float, float]], dict[str, list[str]]]:
    """Mean and deviation of each column of numbers, the words of each column of text, the most frequent first."""
    sums: dict[str, Array] = {}
    words: dict[str, Counter[str]] = {}
    for inputs in dataset.training_inputs():
        for name, values in inputs.items():
            if values.dtype == object:
                texts = (value.decode() if isinstance(value, bytes) else value for value in values)
                counter = words.setdefault(name, Counter())
                counter.update(texts)
                if len(counter) > _MOST_COUNTED:  # the rarest go, or memory would grow with the data
                    words[name] = Counter(dict(counter.most_common(_MOST_COUNTED // 2)))
            else:
                known = values[~np.isnan(values)].astype(np.float64)
                sums[name] = sums.get(name, np.zeros(3)) + np.array([len(known), known.sum(), (known**2).sum()])
    numbers = {}
    for name, (count, total, squares) in sums.items():
        mean = total / max(count, 1)
        numbers[name] = (mean, math.sqrt(max(squares / max(count, 1) - mean**2, 0.0)) or 1.0)
    ordered = {
        name: [word for word, _ in sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))[:_MOST_WORDS] if word]
        for name, found in words.items()
    }
    return numbers, ordered


def _plain(name: str) -> str:
    """A name that Keras takes; the model's signature has the column's own."""
    return name.replace("/", "_")
