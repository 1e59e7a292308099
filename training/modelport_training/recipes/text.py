"""Texts: words to vectors, their mean, a dense layer; the words are looked up inside the model."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from modelport.errors import InvalidArgument
from modelport_training import task
from modelport_training.datasets.dataset import Dataset

EPOCHS = 20
BATCH_SIZE = 32
LEARNING_RATE = 5e-3

_NO_WORDS = 2  # of a vocabulary: what is empty, and what is unknown


@keras.saving.register_keras_serializable(package="modelport")
class MeanOfWords(keras.layers.Layer):
    """The mean of the vectors of a text's words: (N, length, width) and tokens (N, length) -> (N, width).

    Token 0 is no word. A text without words has the mean 0; Keras' own mean under a mask is NaN there.
    """

    def call(self, inputs: Any) -> Any:
        """Average."""
        vectors, tokens = inputs
        words = keras.ops.cast(keras.ops.not_equal(tokens, 0), vectors.dtype)[..., None]
        return keras.ops.sum(vectors * words, axis=1) / keras.ops.maximum(keras.ops.sum(words, axis=1), 1)


def build_for(dataset: Dataset, words: int = 20_000, length: int = 256, width: int = 32) -> keras.Model:
    """{field: (N,) string} -> (N, classes) probabilities, or (N, 1) numbers of a regression.

    Args:
        dataset: whose inputs are one field of text.
        words: that are told apart; rarer ones count as unknown.
        length: words of a text that are read, from its beginning.
        width: size of a word's vector.

    Raises:
        InvalidArgument: the inputs are not one field of text.
    """
    inputs = next(dataset.training_inputs())
    fields = list(inputs) if isinstance(inputs, dict) else []
    if len(fields) != 1 or inputs[fields[0]].dtype != object:
        raise InvalidArgument(
            f"Expected one field of text beside the target, because of the recipe 'text'. Received: {fields}. For "
            "several fields there is the recipe 'tabular'."
        )
    name = fields[0]
    text = keras.Input((), name=name.replace("/", "_"), dtype="string")
    lookup = keras.layers.TextVectorization(max_tokens=words, output_sequence_length=length)
    lookup.adapt(_texts(dataset, name))
    if lookup.vocabulary_size() <= _NO_WORDS:
        raise InvalidArgument(f"Expected words in the field {name!r} of {dataset.name!r}. Received: none in any row.")
    tokens = lookup(text)
    vectors = keras.layers.Embedding(lookup.vocabulary_size(), width)(tokens)
    mean = MeanOfWords()([vectors, tokens])
    hidden = keras.layers.Dense(width, activation="relu")(mean)
    return task.compiled(keras.Model({name: text}, task.answer(hidden, dataset), name="text"), dataset)


def _texts(dataset: Dataset, name: str) -> Any:
    return tf.data.Dataset.from_generator(
        lambda: (inputs[name] for inputs in dataset.training_inputs()),
        output_signature=tf.TensorSpec((None,), tf.string),
    )
