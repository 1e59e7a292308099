"""Samples: made up, given later, of other sizes, or none at all."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from modelport import manifest
from modelport.errors import FailedPrecondition, InvalidArgument
from modelport_export import Gate, publish
from tests.export.situations.support import (
    TwoArguments,
    X,
    a_fixed_batch,
    layers,
    ops,
    shape_of,
)

# Keras warns of models that are built by a call; here they are what users have.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


class Detector(keras.Model):
    def __init__(self):
        super().__init__()
        self.filter = layers.Conv2D(2, 3)

    def call(self, image):
        return ops.mean(self.filter(image), axis=(1, 2))


def test_sizes_are_open_where_the_model_takes_others(tmp_path):
    """A detector that was shown images of 12 by 9 was declared to take no others."""
    model = Detector()
    samples = np.random.default_rng(0).standard_normal((4, 12, 9, 3)).astype(np.float32)
    model(samples)
    published = publish(model, name="m", repository=tmp_path, samples={"image": samples})
    assert shape_of(published, "image") == [-1, -1, -1, 3]
    flat = keras.Sequential([layers.Flatten(), layers.Dense(2)])
    flat(samples)

    class Flat(keras.Model):
        def __init__(self):
            super().__init__()
            self.inner = flat

        def call(self, image):
            return self.inner(image)

    closed = Flat()
    closed(samples)
    published = publish(closed, name="closed", repository=tmp_path, samples={"image": samples})
    assert shape_of(published, "image") == [-1, 12, 9, 3]


@pytest.mark.parametrize("size", [20, 2000])
def test_samples_are_made_of_a_length_that_the_layers_take(tmp_path, size):
    """A table of positions has an end, a spectrogram a beginning."""
    x = keras.Input((None,), name="x", dtype="int32" if size == 20 else "float32")
    if size == 20:

        class Positions(layers.Layer):
            def __init__(self):
                super().__init__()
                self.rows = self.add_weight(shape=(size, 4), name="rows")

            def call(self, ids):
                length = ops.shape(ids)[1]
                where = ops.arange(length)
                tf.debugging.assert_less(length, size)
                return ops.take(self.rows, where, axis=0)[None] + ops.cast(ids, "float32")[..., None]

        y = Positions()(x)
    else:
        y = layers.MelSpectrogram(fft_length=512, sequence_stride=128, sampling_rate=8000, num_mel_bins=20)(x)
    published = publish(keras.Model(x, layers.GlobalAveragePooling1D(name="y")(y)), name="m", repository=tmp_path)
    assert published.new


def test_a_logarithm_without_samples_is_proven_with_positive_ones(tmp_path):
    x = keras.Input((3,), name="price")
    model = keras.Model(x, layers.Dense(1)(ops.log(x)))
    assert publish(model, name="m", repository=tmp_path).new
    with pytest.raises(FailedPrecondition, match="give samples that the model is made for"):
        publish(model, name="n", repository=tmp_path, samples={"price": -np.abs(X)})


def test_a_model_that_answers_nothing_made_up_wants_samples(tmp_path):
    class Never(layers.Layer):
        def call(self, x):
            tf.debugging.assert_equal(x[0, 0], 12345.0)
            return x

    x = keras.Input((3,), name="code")
    model = keras.Model(x, Never()(x))
    with pytest.raises(FailedPrecondition, match=r"made-up samples.*--samples FILE\.npz.*\['code'\]"):
        publish(model, name="m", repository=tmp_path)


def test_later_samples_prove_again(tmp_path):
    x = keras.Input((3,), name="x")
    model = keras.Model(x, layers.Dense(1)(ops.sqrt(x)))
    first = publish(model, name="m", repository=tmp_path)
    facts = manifest.read(first.path)
    assert facts.proof["verdict"] == "proven on random samples"
    again = publish(model, name="m", repository=tmp_path, samples={"x": np.abs(X)})
    assert (again.version, again.new) == (first.version, False)
    facts = manifest.read(again.path)
    assert facts.proof["verdict"] == "proven"
    assert facts.proof["samples"] == "8 real"
    report = (again.path / "assets.extra" / "report.md").read_text("utf-8")
    assert report.startswith("# m: proven\n")
    assert "Proven again" in report
    manifest.verify(again.path)
    with pytest.raises(FailedPrecondition, match="NaN"):
        publish(model, name="m", repository=tmp_path, samples={"x": X})


def test_a_model_of_open_size_that_wants_positive_pixels(tmp_path):
    """Images of 16,000 by 16,000 were drawn before positive numbers were tried."""
    image = keras.Input((None, None, 3), name="image")
    model = keras.Model(image, layers.GlobalAveragePooling2D()(ops.log(image)))
    assert publish(model, name="m", repository=tmp_path).new


@pytest.mark.parametrize(
    ("samples", "text"),
    [
        (X, "mapping of input name to array"),
        ({"x": [[1.0, 2.0, 3.0], [1.0]]}, "equal length"),
        ({"x": 3.0}, "batch dimension|shape|rows"),
    ],
    ids=["an array", "ragged", "a scalar"],
)
@pytest.mark.parametrize("kind", ["functional", "subclassed"])
def test_samples_that_are_none_are_refused_in_a_sentence(tmp_path, kind, samples, text):
    x = keras.Input((3,), name="x")
    model = keras.Model(x, layers.Dense(1)(x))
    if kind == "subclassed":
        model = TwoArguments()
        model(text=X)
        samples = {"text": samples["x"]} if isinstance(samples, dict) else samples
    with pytest.raises(InvalidArgument, match=text):
        publish(model, name="m", repository=tmp_path, samples=samples)


def test_eight_samples_for_a_batch_of_four(tmp_path):
    model, samples, _ = a_fixed_batch()
    published = publish(model, name="m", repository=tmp_path, samples={"x": X})
    assert len(samples["x"]) == 4
    assert manifest.read(published.path).proof["samples"] == "8 real"


def test_the_gate_holds_for_a_proof_that_is_made_again(tmp_path):
    x = keras.Input((3,), name="x")
    model = keras.Model(x, layers.Dense(1)(x))
    publish(model, name="m", repository=tmp_path)
    with pytest.raises(FailedPrecondition, match="p99"):
        publish(model, name="m", repository=tmp_path, samples={"x": X + 1}, gate=Gate(max_p99_ms=1e-9))
    assert manifest.read(tmp_path / "m" / "1").proof["verdict"] == "proven on random samples"
