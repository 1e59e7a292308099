"""Texts of different lengths: words are counted out row by row, or padded to the longest of all."""

import keras
import pytest
import tensorflow as tf

from modelport_export import calling, savedmodel
from modelport_export.proof.independence.graph_rows import objection
from modelport_export.servable import Generic


def texts(length, mode="int"):
    layer = keras.layers.TextVectorization(output_sequence_length=length, output_mode=mode)
    layer.adapt(["red fox", "blue fox"])
    text = keras.Input((), dtype="string")
    return keras.Model(text, layer(text))


def object_to_model(model, write):
    servable = Generic(model, calling.describe(model))
    return objection(savedmodel.read_meta_graph(write(servable)), "serving_default")


def test_texts_of_a_fixed_number_of_words_are_proven(write):
    assert object_to_model(texts(3), write) is None


def test_texts_padded_to_the_longest_are_refused(write):
    assert "RaggedTensorToTensor" in object_to_model(texts(None), write)


def words_of(x):
    return tf.strings.split(x).to_tensor(shape=[None, 3])


@pytest.mark.parametrize(
    ("function", "names"),
    [
        (lambda x: tf.strings.split(x).to_tensor(), "RaggedTensorToTensor"),
        (lambda x: tf.strings.split(x).flat_values, "StringSplitV2|does not follow"),
        (lambda x: words_of(x)[: tf.size(tf.strings.split(x).flat_values)], "Size"),
        (
            lambda x: tf.strings.split(x).with_values(tf.strings.split(x[::-1]).values).to_tensor(shape=[None, 3]),
            "Slice",
        ),
        (
            lambda x: tf.strings.split(x).with_values(tf.strings.split(x + b"!").values).to_tensor(shape=[None, 3]),
            "RaggedTensorToTensor",
        ),
        (lambda x: tf.strings.split(x).row_lengths(), "Reshape"),
    ],
)
def test_words_that_leave_their_row_are_refused(object_to, function, names):
    reason = object_to(function, [None], dtype=tf.string)
    assert reason is not None
    assert any(name in reason for name in names.split("|")), reason


def test_words_are_changed_on_their_own(object_to):
    assert object_to(words_of, [None], dtype=tf.string) is None

    def marked(x):
        words = tf.strings.split(x)
        return words.with_values(tf.where(words.values == b"a", b"?", tf.strings.upper(words.values))).to_tensor(
            shape=[None, 3]
        )

    assert object_to(marked, [None], dtype=tf.string, folder="other") is None
