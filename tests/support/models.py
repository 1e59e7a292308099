"""Tiny SavedModels whose answers are known by heart, written by TensorFlow in milliseconds."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from modelport.wire import messages


def _save(module: tf.Module, folder: Path, signatures: dict) -> Path:
    tf.saved_model.save(module, str(folder), signatures=signatures)
    return folder


def affine(folder: Path, offset: float = 2.0) -> Path:
    """`serving_default(x float[?]) -> y = x / 2 + offset`, and two more signatures: `named(a, b)` and `text(s)`."""
    module = tf.Module()
    module.scale = tf.Variable(0.5)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def call(x):
        return {"y": module.scale * x + offset}

    pair = [tf.TensorSpec([None], tf.float32, name="a"), tf.TensorSpec([None], tf.float32, name="b")]

    @tf.function(input_signature=pair)
    def named(a, b):
        return {"sum": a + b, "difference": a - b}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="s")])
    def text(s):
        return {"upper_bytes": tf.strings.upper(s)}

    return _save(module, folder, {"serving_default": call, "named": named, "text": text})


def matrix(folder: Path) -> Path:
    """`serving_default(x float[?,3]) -> y = x @ identity(3, 2)`: refuses other widths when it runs."""
    module = tf.Module()
    module.weights = tf.Variable(np.eye(3, 2, dtype=np.float32))

    @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32, name="x")])
    def call(x):
        return {"y": x @ module.weights}

    return _save(module, folder, {"serving_default": call})


def slow(folder: Path) -> Path:
    """`serving_default(seconds float[]) -> done = seconds`, after spinning for about that long (at most 20 s)."""
    module = tf.Module()
    module.zero = tf.Variable(0.0)

    @tf.function(input_signature=[tf.TensorSpec([], tf.float32, name="seconds")])
    def call(seconds):
        begin = tf.timestamp()
        until = begin + tf.cast(tf.minimum(seconds, 20.0), tf.float64)
        result, _ = tf.while_loop(
            lambda _, now: now < until,
            lambda total, _: (total + tf.reduce_sum(tf.random.uniform([1000])), tf.timestamp()),
            (module.zero + 0.0, begin),
        )
        return {"done": seconds + 0.0 * result}

    return _save(module, folder, {"serving_default": call})


def counter(folder: Path) -> Path:
    """`serving_default(step float[]) -> total`, kept in the session between calls."""
    module = tf.Module()
    module.total = tf.Variable(0.0)

    @tf.function(input_signature=[tf.TensorSpec([], tf.float32, name="step")])
    def call(step):
        return {"total": module.total.assign_add(step)}

    return _save(module, folder, {"serving_default": call})


def row_counter(folder: Path) -> Path:
    """`serving_default(x float[?]) -> calls int64[?]`: how often it was run, for each row."""
    module = tf.Module()
    module.calls = tf.Variable(0, dtype=tf.int64)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def call(x):
        return {"calls": tf.ones_like(x, tf.int64) * module.calls.assign_add(1)}

    return _save(module, folder, {"serving_default": call})


def centred(folder: Path) -> Path:
    """`serving_default(x float[?]) -> y = x - mean(x)`: rows influence one another."""
    module = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def call(x):
        return {"y": x - tf.reduce_mean(x)}

    return _save(module, folder, {"serving_default": call})


def slow_rows(folder: Path) -> Path:
    """`serving_default(seconds float[?]) -> done = seconds`, after spinning for about the longest of them."""
    module = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="seconds")])
    def call(seconds):
        until = tf.timestamp() + tf.cast(tf.reduce_max(seconds), tf.float64)
        total, _ = tf.while_loop(
            lambda _, now: now < until,
            lambda total, _: (total + tf.reduce_sum(tf.random.uniform([1000])), tf.timestamp()),
            (tf.constant(0.0), tf.timestamp()),
        )
        return {"done": seconds + 0.0 * total}

    return _save(module, folder, {"serving_default": call})


def typed(folder: Path, outputs: dict[str, str], given: str = "float32", name: str = "x") -> Path:
    """`serving_default(name given[?])` -> each of `outputs`: the input and 0.75, cast to the output's dtype."""
    module = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec([None], tf.as_dtype(given), name=name)])
    def call(value):
        return {alias: tf.cast(tf.cast(value, tf.float64) + 0.75, dtype) for alias, dtype in outputs.items()}

    return _save(module, folder, {"serving_default": call})


def wide(folder: Path) -> Path:
    """`serving_default(x float[?,3]) -> y float[?,10], n int64[?], fixed float[2]`, and two more signatures.

    They are `flat(x float[?]) -> y float[?,4]` and `echo(s string[?]) -> t`, whose strings REST writes as they are.
    """
    module = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32, name="x")])
    def call(x):
        ones = tf.matmul(x, tf.ones((3, 10)))
        return {"y": ones, "n": tf.cast(tf.reduce_sum(x, 1), tf.int64), "fixed": tf.constant([1.0, 2.0])}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def flat(x):
        return {"y": x[:, None] + tf.zeros(4)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="s")])
    def echo(s):
        return {"t": tf.identity(s)}

    return _save(module, folder, {"serving_default": call, "flat": flat, "echo": echo})


def columns(folder: Path) -> Path:
    """`serving_default(price float[?,1], count int64[?], name string[?]) -> total float[?,1], tag, raw_bytes`.

    `tag` is the name with an `é`; `raw_bytes` is the name as it came.
    """
    module = tf.Module()
    specs = [
        tf.TensorSpec([None, 1], tf.float32, name="price"),
        tf.TensorSpec([None], tf.int64, name="count"),
        tf.TensorSpec([None], tf.string, name="name"),
    ]

    @tf.function(input_signature=specs)
    def call(price, count, name):
        total = price * tf.cast(count, tf.float32)[:, None]
        return {"total": total, "tag": tf.strings.join([name, "é"]), "raw_bytes": tf.identity(name)}

    return _save(module, folder, {"serving_default": call})


def pictures(folder: Path) -> Path:
    """`serving_default(image uint8[?,2,3,1]) -> total int64[?]`, `rgb(image float[?,2,3,3])`, `serve_image_bytes`."""
    module = tf.Module()

    def summed(image):
        return {"total": tf.reduce_sum(tf.cast(image, tf.int64), [1, 2, 3])}

    @tf.function(input_signature=[tf.TensorSpec([None, 2, 3, 1], tf.uint8, name="image")])
    def call(image):
        return summed(image)

    @tf.function(input_signature=[tf.TensorSpec([None, 2, 3, 3], tf.float32, name="image")])
    def rgb(image):
        return summed(image)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="image_bytes")])
    def encoded(image_bytes):
        images = tf.map_fn(lambda one: tf.io.decode_png(one, 1), image_bytes, fn_output_signature=tf.uint8)
        return summed(images)

    return _save(module, folder, {"serving_default": call, "rgb": rgb, "serve_image_bytes": encoded})


def endless_init(folder: Path) -> Path:
    """`serving_default(x float[?]) -> y = x`, with an operation at loading that never ends."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None], "x")
        signature = v1.saved_model.predict_signature_def({"x": x}, {"y": tf.identity(x)})
        endless = tf.while_loop(lambda i: i >= 0, lambda i: i * 1, [tf.constant(0)])
        builder = v1.saved_model.Builder(str(folder))
        builder.add_meta_graph_and_variables(
            session, ["serve"], {"serving_default": signature}, main_op=tf.group(endless)
        )
        builder.save()
    return folder


def write_warmup(version: Path, requests: Sequence[messages.PredictRequest]) -> None:
    """Put requests into a version that are replayed when it is loaded."""
    path = version / "assets.extra" / "tf_serving_warmup_requests"
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for asked in requests:
            log = messages.PredictionLog(predict_log=messages.PredictLog(request=asked))
            writer.write(log.SerializeToString())
