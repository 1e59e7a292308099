"""Loops and branches: those that every run takes alike, and those that take one row at a time."""

import pytest
import tensorflow as tf


def through_time(x):
    """A loop over another dimension than the rows, as recurrent layers have."""
    return tf.transpose(tf.scan(lambda state, now: state + now, tf.transpose(x, (1, 0, 2))), (1, 0, 2))


def constant_condition(x):
    return tf.cond(tf.shape(x)[1] > 4, lambda: x * 2.0, lambda: tf.nn.softmax(x))


def images_of(x):
    """Whatever is computed from one file alone stays apart, sizes that follow from it included."""
    return tf.map_fn(
        lambda file: tf.image.resize(tf.io.decode_png(file, 3), (4, 4)), x, fn_output_signature=tf.TensorSpec((4, 4, 3))
    )


@pytest.mark.parametrize(
    ("function", "shapes"),
    [
        (through_time, [[None, 5, 3]]),
        (constant_condition, [[None, 5]]),
    ],
)
def test_loops_and_branches_that_keep_rows_apart_are_proven(object_to, function, shapes):
    assert object_to(function, *shapes) is None


def test_one_file_at_a_time_is_proven(object_to):
    assert object_to(images_of, [None], dtype=tf.string) is None


def through_loop(x):
    """Row by row; but each turn also sees what was made of the rows before."""
    return tf.scan(lambda state, row: state + row, x)


def other_row_in_loop(x):
    return tf.map_fn(lambda number: x[number] - x[0], tf.range(tf.shape(x)[0]), fn_output_signature=tf.float32)


def some_turns(x):
    """A loop that fills the first five rows only."""
    filled = tf.TensorArray(tf.float32, tf.shape(x)[0], element_shape=[3])
    rows = tf.TensorArray(tf.float32, tf.shape(x)[0]).unstack(x)
    _, filled = tf.while_loop(lambda i, _: i < 5, lambda i, f: (i + 1, f.write(i, rows.read(i))), (0, filled))
    return filled.stack()


def next_row_in_loop(x):
    rows = tf.TensorArray(tf.float32, tf.shape(x)[0]).unstack(x)
    filled = tf.TensorArray(tf.float32, tf.shape(x)[0], element_shape=[3])
    count = tf.shape(x)[0]
    _, filled = tf.while_loop(
        lambda i, _: i < count, lambda i, f: (i + 1, f.write(i, rows.read((i + 1) % count))), (0, filled)
    )
    return filled.stack()


@pytest.mark.parametrize(
    ("function", "shapes", "names"),
    [
        (lambda x: tf.cond(tf.reduce_any(x > 0), lambda: x, lambda: -x), [[None, 3]], "Any"),
        (lambda x: tf.cond(tf.shape(x)[0] > 10, lambda: x, lambda: -x), [[None, 3]], "Greater"),
        (through_loop, [[None, 3]], "While"),
        (other_row_in_loop, [[None, 3]], "While|StridedSlice"),
        (some_turns, [[None, 3]], "TensorListGetItem"),
        (next_row_in_loop, [[None, 3]], "While|TensorListGetItem|FloorMod"),
    ],
)
def test_loops_and_branches_that_mix_rows_are_refused(object_to, function, shapes, names):
    reason = object_to(function, *shapes)
    assert reason is not None
    assert any(name in reason for name in names.split("|")), reason
