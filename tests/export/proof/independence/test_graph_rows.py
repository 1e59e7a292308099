"""A server joins requests of strangers into one run: only graphs that keep rows apart may pass.

Users got class names cut to one entry, and answers that followed from other users' rows.
"""

import numpy as np
import pytest
import tensorflow as tf

WEIGHTS = tf.constant(np.arange(12.0, dtype="float32").reshape(3, 4))
NAMES = tf.constant(["cat", "dog", "cow"])


def dense(x):
    return tf.nn.softmax(tf.nn.relu(x @ WEIGHTS + 1.0))


def dense_of_sequences(x):
    """Rows are flattened together with another dimension, and taken apart again."""
    return tf.tensordot(x, WEIGHTS, axes=[[-1], [0]])


def layer_norm(x):
    centred = x - tf.reduce_mean(x, axis=-1, keepdims=True)
    return centred * tf.math.rsqrt(tf.reduce_mean(tf.square(centred), -1, keepdims=True) + 1e-3)


def attention(x):
    scores = tf.einsum("btc,bsc->bts", x, x) / 2.0
    return tf.einsum("bts,bsc->btc", tf.nn.softmax(scores), x) + tf.matmul(x, x, transpose_b=True) @ x


def causal_attention(x):
    length = tf.shape(x)[1]
    mask = tf.linalg.band_part(tf.ones((length, length)), -1, 0)
    return tf.nn.softmax(tf.matmul(x, x, transpose_b=True) * mask - 1e9 * (1.0 - mask)) @ x


def convolution(x):
    x = tf.nn.conv2d(x, tf.ones((3, 3, 1, 2)), 1, "SAME")
    x = tf.nn.bias_add(tf.nn.max_pool2d(x, 2, 2, "VALID"), [1.0, 2.0])
    x, _, _ = tf.compat.v1.nn.fused_batch_norm(x, [1.0, 1.0], [0.0, 0.0], [0.0, 0.0], [1.0, 1.0], is_training=False)
    return tf.reduce_mean(tf.pad(x, [[0, 0], [1, 1], [0, 0], [0, 0]]), axis=(1, 2))


def dilated_convolution(x):
    return tf.nn.convolution(x, tf.ones((3, 3, 1, 2)), dilations=(2, 2), padding="SAME")


def repeated(x):
    """Axes and multiples that are computed from constants."""
    return tf.nn.softmax(tf.repeat(x, 2, axis=1), axis=1)


def transposed_convolution(x):
    return tf.nn.conv2d_transpose(x, tf.ones((3, 3, 2, 1)), (tf.shape(x)[0], 16, 16, 2), 2)


def parts(x):
    left, right = tf.split(x, [1, 2], axis=-1)
    both = tf.concat([right, left, x[:, ::-1], x[..., :1]], axis=1)
    return tf.stack([both, tf.reverse(both, [1])], axis=1)[:, 0, tf.newaxis]


def choices(x):
    best = tf.argmax(x, axis=-1)
    values, _ = tf.math.top_k(x, 2)
    chosen = tf.where(x > 0, x, tf.zeros_like(x))
    own = tf.gather(x, tf.argsort(x, axis=-1), batch_dims=1)
    return {"a": tf.one_hot(best, 3), "b": values, "c": tf.gather(NAMES, best), "d": chosen, "e": own}


def like_shapes(x):
    rows = tf.shape(x)[0]
    zeros = tf.zeros((rows, 2)) + tf.fill([rows, 1], 3.0)
    flat = tf.reshape(x, [rows, -1])
    return {"a": zeros, "b": flat, "c": tf.tile(NAMES[tf.newaxis], (rows, 1)), "d": tf.reshape(x, [-1, 3, 1])}


def strings_of(x):
    return tf.strings.join([tf.strings.upper(x), "!"])


@pytest.mark.parametrize(
    ("function", "shapes"),
    [
        (dense, [[None, 3]]),
        (dense_of_sequences, [[None, None, 3]]),
        (layer_norm, [[None, 3]]),
        (attention, [[None, 5, 3]]),
        (causal_attention, [[None, None, 3]]),
        (convolution, [[None, 8, 8, 1]]),
        (dilated_convolution, [[None, 8, 8, 1]]),
        (repeated, [[None, 3, 2]]),
        (transposed_convolution, [[None, 8, 8, 1]]),
        (parts, [[None, 3]]),
        (choices, [[None, 3]]),
        (like_shapes, [[None, 3]]),
        (lambda x, y: x * y + tf.concat([x, y], 1)[:, :3], [[None, 3], [None, 3]]),
        (lambda x: tf.function(tf.function(dense))(x), [[None, 3]]),
    ],
)
def test_graphs_that_keep_rows_apart_are_proven(object_to, function, shapes):
    assert object_to(function, *shapes) is None


def test_strings_that_keep_rows_apart_are_proven(object_to):
    assert object_to(strings_of, [None], dtype=tf.string) is None


def test_tables_and_variables_that_are_only_read_are_proven(object_to):
    keys = tf.lookup.KeyValueTensorInitializer(["a", "b"], tf.constant([0, 1], tf.int64))
    table = tf.lookup.StaticHashTable(keys, -1)
    vectors = tf.Variable(tf.ones((4, 2)))

    def call(x):
        number = table.lookup(x)
        return (
            tf.reduce_mean(tf.gather(vectors, number + 1), axis=1) + tf.cast(tf.not_equal(number, 0), tf.float32)[:, :1]
        )

    assert object_to(call, [None, 3], dtype=tf.string, held=[table, vectors]) is None


def test_bins_of_a_fixed_number_are_proven_and_others_refused(object_to):
    """The number of bins else follows from the largest of all values."""

    def call(x):
        return tf.math.bincount(x, minlength=4, maxlength=4, axis=-1)

    assert object_to(call, [None, 3], dtype=tf.int32) is None
    assert "Greater" in object_to(
        lambda x: tf.math.bincount(x, minlength=4, axis=-1), [None, 3], dtype=tf.int32, folder="other"
    )


def test_dense_features_of_examples_are_proven(object_to):
    def call(x):
        return tf.io.parse_example(x, {"a": tf.io.FixedLenFeature([3], tf.float32)})["a"] @ WEIGHTS

    assert object_to(call, [None], dtype=tf.string) is None


def row_number(x):
    return x * tf.cast(tf.range(tf.shape(x)[0]), tf.float32)[:, tf.newaxis]


@tf.function
def hidden(x):
    return tf.function(lambda y: y - tf.reduce_mean(y, axis=0))(x) + 0.0 * x


def own_embedding(x):
    """The other rows choose which row is answered with."""
    return tf.gather(x, tf.argmax(x, axis=0))


def batch_norm_in_training(x):
    y, _, _ = tf.compat.v1.nn.fused_batch_norm(x, [1.0], [0.0])
    return y


@pytest.mark.parametrize(
    ("function", "shapes", "names"),
    [
        (lambda x: x - tf.reduce_mean(x, axis=0), [[None, 3]], "Mean"),
        (lambda x: x - tf.reduce_max(x), [[None, 3]], "Max"),
        (lambda x: x - tf.reduce_mean(x, axis=-2), [[None, 3]], "Mean"),
        (lambda x: tf.nn.softmax(x, axis=0), [[None, 3]], "Softmax|Transpose"),
        (lambda x: tf.nn.softmax(x), [[None]], "Softmax"),
        (lambda x: tf.transpose(tf.nn.softmax(tf.transpose(x))), [[None, 3]], "Softmax"),
        (batch_norm_in_training, [[None, 2, 2, 1]], "FusedBatchNorm"),
        (lambda x: tf.reshape(x, [-1, 2]), [[None, 3]], "Reshape"),
        (lambda x: tf.reshape(x, [3, -1]), [[None, 3]], "Reshape"),
        (lambda x: tf.reshape(tf.reshape(x, [3, -1]), [-1, 3]), [[None, 3]], "Reshape"),
        (lambda x: tf.transpose(tf.reshape(x, [3, tf.shape(x)[0]])), [[None, 3]], "Reshape"),
        (lambda x: tf.reshape(x, [-1, tf.shape(x)[0]]), [[None, 3]], "Reshape"),
        (lambda x: x[::-1], [[None, 3]], "StridedSlice"),
        (lambda x: tf.reverse(x, [0]), [[None, 3]], "ReverseV2"),
        (lambda x: x + x[0], [[None, 3]], "StridedSlice"),
        (lambda x: x + x[:1], [[None, 3]], "StridedSlice"),
        (lambda x: tf.concat([x[1:], x[:1]], 0), [[None, 3]], "StridedSlice"),
        (lambda x: tf.roll(x, 1, 0), [[None, 3]], "Roll"),
        (lambda x: tf.concat([x, x], 0)[: tf.shape(x)[0]], [[None, 3]], "ConcatV2"),
        (lambda x: tf.cumsum(x, axis=0), [[None, 3]], "Cumsum"),
        (lambda x: tf.unique(x)[1], [[None]], "Unique"),
        (own_embedding, [[None, 3]], "ArgMax"),
        (lambda x: x @ tf.transpose(x), [[None, 3]], "MatMul"),
        (lambda x: tf.matmul(x, x, transpose_a=True) + 0.0 * tf.reduce_sum(x), [[None, 3]], "MatMul"),
        (lambda x: tf.einsum("ab,cb->ac", x, x), [[None, 3]], "Einsum"),
        (lambda x: tf.einsum("ab,ab->ba", x, x), [[None, 3]], "first dimension"),
        (lambda x: x[:, tf.newaxis] - x, [[None, 3]], "Sub"),
        (lambda x: x[:, tf.newaxis] - x, [[None]], "Sub"),
        (lambda x: x + tf.ones((5, 3)), [[None, 3]], "AddV2"),
        (lambda x: x + tf.ones((4, 3)), [[None, 1]], "AddV2"),
        (lambda x: x + tf.ones((4, 1)), [[None]], "first dimension"),
        (lambda x: x + tf.random.stateless_normal(tf.shape(x), (1, 2)), [[None, 3]], "StatelessRandom"),
        (lambda x: {"y": x, "classes": tf.identity(NAMES)}, [[None, 3]], "'classes' does not follow the rows"),
        (lambda x: {"y": x, "shape": tf.shape(x)}, [[None, 3]], "'shape' does not follow the rows"),
        (lambda x: tf.boolean_mask(x, x[:, 0] > 0), [[None, 3]], "Reshape|Where|Prod"),
        (lambda x: tf.sort(x, axis=0), [[None, 3]], "TopKV2|Transpose|first dimension"),
        (lambda x: tf.sort(x), [[None]], "TopKV2"),
        (lambda x: x / tf.cast(tf.shape(x)[0], tf.float32), [[None, 3]], "Cast"),
        (lambda x: x * tf.cast(tf.minimum(tf.shape(x)[0], 4), tf.float32), [[None, 3]], "Minimum"),
        (row_number, [[None, 3]], "Range"),
        (hidden, [[None, 3]], "Mean"),
        (lambda x: tf.squeeze(x), [[None, 1]], "Squeeze"),
        (lambda x: tf.reshape(tf.space_to_batch(x, [2, 2], [[0, 0], [0, 0]]), [-1, 4]), [[None, 2, 2, 1]], "Reshape"),
        (lambda x: tf.math.segment_sum(x, tf.zeros(tf.shape(x)[0], tf.int32)), [[None, 3]], "SegmentSum|Fill"),
        (lambda x: tf.nn.l2_normalize(x, axis=None), [[None, 3]], "Sum"),
        (lambda x: tf.quantization.fake_quant_with_min_max_args(x), [[None, 3]], "FakeQuant"),
        (lambda x, y: x[:, tf.newaxis] * y, [[None, 3], [None, 3]], "Mul"),
    ],
)
def test_graphs_that_mix_rows_are_refused_and_the_reason_names_the_operation(object_to, function, shapes, names):
    reason = object_to(function, *shapes)
    assert reason is not None
    assert any(name in reason for name in names.split("|")), reason


@pytest.mark.parametrize(
    ("shape", "text"),
    [([4, 3], "fixed number of rows, 4"), ([], "scalar"), (None, "unknown number of dimensions")],
)
def test_inputs_without_open_rows_are_refused(object_to, shape, text):
    assert text in object_to(lambda x: x * 2.0, shape)


def test_a_second_input_without_rows_is_refused(object_to):
    assert "'x1' is a scalar" in object_to(lambda x, y: x * y, [None, 3], [])


def test_features_of_varying_length_are_refused(object_to):
    """They are padded to the longest of all examples."""
    feature = tf.io.FixedLenSequenceFeature([], tf.float32, allow_missing=True)
    reason = object_to(lambda x: tf.io.parse_example(x, {"a": feature})["a"], [None], dtype=tf.string)
    assert "ParseExampleV2" in reason
