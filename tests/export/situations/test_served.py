"""Models that are served as they are in Keras, over both transports."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from modelport.errors import FailedPrecondition, InvalidArgument
from modelport_export import publish
from tests.export.situations.support import (
    TwoArguments,
    X,
    a_fixed_batch,
    check,
    layers,
    ops,
)

# Keras warns of models that are built by a call; here they are what users have.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


class KeywordOnly(keras.Model):
    def __init__(self):
        super().__init__()
        self.last = layers.Dense(1)

    def call(self, inputs, *, context):
        return self.last(ops.concatenate([inputs, context], -1))


class Masked(keras.Model):
    def __init__(self):
        super().__init__()
        self.last = layers.Dense(1)

    def call(self, inputs, mask=None):
        return self.last(inputs if mask is None else inputs * mask)


class Lookups(keras.Model):
    """Layers and a table in dicts and lists."""

    def __init__(self):
        super().__init__()
        self.look = {name: layers.StringLookup(vocabulary=["a", "b"]) for name in ("city", "job")}
        self.rows = {name: layers.Embedding(3, 4) for name in ("city", "job")}
        rows = tf.lookup.KeyValueTensorInitializer(["a", "b"], [1.0, 2.0])
        self.tables = [{"weight": tf.lookup.StaticHashTable(rows, -1.0)}]

    def call(self, x):
        both = [self.rows[name](self.look[name](x[name])) for name in ("city", "job")]
        return ops.concatenate([*both, self.tables[0]["weight"].lookup(x["city"])[:, None]], -1)


class Beside(layers.Layer):
    """Scores, and a constant text beside them."""

    def call(self, x):
        return {"scores": x, "model_version": tf.constant("v1")}


class Pair(keras.Model):
    def __init__(self):
        super().__init__()
        self.last = layers.Dense(2)

    def call(self, pair):
        left, right = pair
        return self.last(left), right * 2.0


def two_arguments():
    model = TwoArguments()
    model(text=X)
    return model, {"image": X}, {"output": model(image=X)}


def keyword_only():
    model = KeywordOnly()
    samples = {"inputs": X, "context": X[:, :2]}
    return model, samples, {"output": model(X, context=X[:, :2])}


def a_mask():
    model = Masked()
    samples = {"inputs": X, "mask": (X > 0).astype(np.float32)}
    return model, samples, {"output": model(X, mask=samples["mask"])}


def lookups_in_dicts():
    model = Lookups()
    samples = {"city": np.array(["a", "b", "?"]), "job": np.array(["b", "c", "a"])}
    return model, samples, {"output": model({name: tf.constant(value) for name, value in samples.items()})}


def a_text_beside():
    x = keras.Input((3,), name="x")
    model = keras.Model(x, Beside()(layers.Dense(2)(x)))
    return model, {"x": X}, model(X)


def minus_infinity():
    x = keras.Input((3,), name="x")
    model = keras.Model(x, layers.Lambda(lambda x: tf.where(x > 0, x, -np.inf), name="y")(x))
    return model, {"x": X}, {"y": model(X)}


def tuples():
    """Built on a pair: the names say the order, whatever that of the samples is."""
    model = Pair()
    left, right = model((X, X + 1))
    return model, {"input_2": X + 1, "input_1": X}, {"output_1": left, "output_2": right}


def a_table_of_a_savedmodel(folder):
    word = keras.Input((1,), dtype="string", name="word")
    scores = layers.Dense(2)(ops.cast(layers.StringLookup(vocabulary=["a", "b"])(word), "float32"))
    keras.Model(word, scores).export(folder, verbose=False)
    model = keras.Model(word, layers.TFSMLayer(folder, call_endpoint="serve", name="y")(word))
    samples = np.array([["a"], ["q"]])
    return model, {"word": samples}, {"y": model(tf.constant(samples))}


@pytest.mark.parametrize(
    "make",
    [two_arguments, keyword_only, a_mask, lookups_in_dicts, a_fixed_batch, tuples],
    ids=lambda make: make.__name__,
)
def test_it_is_served_as_it_is_in_keras(tmp_path, make):
    check(*make(), tmp_path)


def test_a_text_beside_the_scores(tmp_path):
    check(*a_text_beside(), tmp_path, only=("grpc",))


def test_infinity_on_purpose(tmp_path):
    model, samples, expected = minus_infinity()
    with pytest.raises(FailedPrecondition, match="--allow-non-finite y"):
        publish(model, name="m", repository=tmp_path / "models", samples=samples, allow_lambda=True)
    given = {"allow_lambda": True, "allow_non_finite": ["y"]}
    check(model, samples, expected, tmp_path, only=("grpc",), **given)
    with pytest.raises(InvalidArgument, match=r"name an output, one of \['y'\].*'z'"):
        publish(model, name="o", repository=tmp_path / "models", allow_lambda=True, allow_non_finite=["z"])


def test_a_table_within_a_savedmodel_that_is_wrapped(tmp_path):
    check(*a_table_of_a_savedmodel(str(tmp_path / "saved")), tmp_path)


def test_heads_that_keras_named(tmp_path):
    """Names of layers count over the process, ours over the model: `dense_1` is another head in each."""
    x = keras.Input((3,))
    heads = [layers.Dense(1, name="dense"), layers.Dense(1, name="dense_1")]
    assert publish(keras.Model(x, [head(x) for head in heads]), name="m", repository=tmp_path).new
    inputs = [keras.Input((3,), name="input_2"), keras.Input((3,))]
    assert publish(keras.Model(inputs, layers.Subtract()(inputs)), name="n", repository=tmp_path).new
