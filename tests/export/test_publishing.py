"""Publishing, with a real server in a process of its own for every proof."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from modelport import manifest
from modelport.errors import AlreadyExists, FailedPrecondition, InvalidArgument
from modelport.repository import Repository
from modelport_export import Gate, ImageInput, export, publish

layers = keras.layers
IMAGE = ImageInput(28, 28, shape=(784,))


def linear(value=1.0, name="x"):
    """`output = value * sum(x)`."""
    model = keras.Sequential([keras.Input((3,), name=name), layers.Dense(1, kernel_initializer="ones")])
    model.layers[0].kernel.assign(model.layers[0].kernel * value)
    return model


def left_behind(folder):
    return sorted(
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.name not in (".allotted", ".probed")
    )


def test_an_image_classifier_is_published_proven_and_not_twice(tmp_path, digits, images):
    steps = []
    given = {"name": "digits", "repository": tmp_path, "image": IMAGE, "samples": {"image": images}}
    first = publish(digits(), metrics={"accuracy": 0.9}, progress=steps.append, **given)
    assert (first.version, first.new, steps) == (1, True, ["describe", "write", "prove", "report"])
    assert left_behind(tmp_path / "digits" / "1") == [
        "assets",
        "assets.extra",
        "assets.extra/manifest.json",
        "assets.extra/report.html",
        "assets.extra/report.md",
        "assets.extra/request.json",
        "assets.extra/tf_serving_warmup_requests",
        "assets/labels.txt",
        "fingerprint.pb",
        "saved_model.pb",
        "variables",
        "variables/variables.data-00000-of-00001",
        "variables/variables.index",
    ]
    facts = Repository(tmp_path).read_manifest("digits", 1)
    assert set(facts.signatures) == set(facts.proof["parity"]) == {"serving_default", "serve_image_bytes", "classify"}
    for figures in facts.proof["parity"].values():
        assert max(figures["max_abs_error"].values()) <= figures["tolerance"]
    assert facts.proof["verdict"] == "proven"
    assert list(facts.row_independent) == ["serving_default", "serve_image_bytes", "classify"]
    assert facts.proof["samples"] == "16 real"
    assert 0 < facts.proof["latency_ms"]["p50"] <= facts.proof["latency_ms"]["p99"]
    assert facts.proof["resident_mib"] is None or facts.proof["resident_mib"] > 50
    assert set(facts.environment) == {"python", "tensorflow", "keras", "modelport"}
    manifest.verify(first.path)
    report = (first.path / "assets.extra" / "report.md").read_text("utf-8")
    assert "16 real samples" in report
    assert "| accuracy | 0.9 |" in report

    again = publish(digits(), progress=steps.append, **given)
    assert (again.version, again.new, again.path) == (1, False, first.path)
    assert steps[4:] == ["describe"], "equal content is known before it is written"
    assert left_behind(tmp_path / "digits")[0] == "1"

    other_labels = {**given, "labels": "ABCDEFGHIJ"}
    with pytest.raises(FailedPrecondition, match=r"accuracy is 0\.7, of the live version 0\.9"):
        publish(digits(), metrics={"accuracy": 0.7}, gate=Gate(max_regression=0.1), **other_labels)
    assert Repository(tmp_path).versions("digits") == [1]
    assert not [path for path in (tmp_path / "digits").iterdir() if path.name.startswith(".staging")]


def test_strings_free_text_names_and_half_precision_travel_over_grpc(tmp_path):
    length, kind = keras.Input((1,), name="petal length (cm)"), keras.Input((), dtype="string", name="class")
    one_hot = layers.StringLookup(vocabulary=["a", "b"], output_mode="one_hot")(kind)
    both = layers.Concatenate()([length, one_hot])
    model = keras.Model([length, kind], {"as it is": both, "half": layers.Dense(1, dtype="mixed_bfloat16")(both)})
    samples = {"petal length (cm)": np.arange(4.0).reshape(4, 1), "class": np.array(["a", "b", "c", "ü"])}
    published = publish(model, name="iris", repository=tmp_path, samples=samples)
    facts = Repository(tmp_path).read_manifest("iris", published.version)
    assert facts.proof["parity"]["serving_default"]["max_abs_error"]["as it is"] == 0.0
    assert set(facts.signatures["serving_default"]["inputs"]) == set(samples)
    assert facts.signatures["serving_default"]["outputs"]["half"]["dtype"] == "bfloat16"
    assert any("gRPC only" in note for note in facts.proof["notes"])


def test_nan_weights_are_refused_and_nothing_is_left(tmp_path):
    with pytest.raises(FailedPrecondition, match=r"NaN or infinity.*dense.*/kernel"):
        publish(linear(float("nan")), name="m", repository=tmp_path, samples={"x": np.ones((2, 3))})
    assert left_behind(tmp_path) == ["m"]


def test_a_model_that_is_random_at_inference_is_refused(tmp_path):
    x = keras.Input((3,))

    class Noise(layers.Layer):
        def call(self, x):
            return x + tf.random.normal(tf.shape(x))

    with pytest.raises(FailedPrecondition, match="random at inference"):
        publish(keras.Model(x, Noise()(x)), name="m", repository=tmp_path)
    assert left_behind(tmp_path) == ["m"]


def test_bad_input_is_refused_before_anything_is_made(tmp_path):
    for samples, text in (({"y": np.ones((2, 3))}, r"\['x'\]"), ({"x": np.ones((2, 4))}, r"\[-1, 3\]")):
        with pytest.raises(InvalidArgument, match=text):
            publish(linear(), name="m", repository=tmp_path / "models", samples=samples)
    with pytest.raises(InvalidArgument, match="model name"):
        publish(linear(), name="a/b", repository=tmp_path / "models")
    with pytest.raises(InvalidArgument, match="image="):
        publish(linear(), name="m", repository=tmp_path / "models", labels=["a"])
    assert left_behind(tmp_path) == []


def test_export_and_then_publish_its_folder(tmp_path):
    folder = export(linear(), tmp_path / "out" / "linear", samples={"x": np.ones((2, 3))})
    manifest.verify(folder)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["linear"]
    with pytest.raises(AlreadyExists, match="nothing is overwritten"):
        export(linear(2.0), folder)
    published = publish(folder, name="m", repository=tmp_path / "models")
    assert published.new
    assert (published.path / "saved_model.pb").read_bytes() == (folder / "saved_model.pb").read_bytes()
    again = publish(linear(), name="m", repository=tmp_path / "models", samples={"x": np.ones((2, 3))})
    assert not again.new, "the folder and the model that it was made of are equal content"


def test_a_foreign_savedmodel_is_published_as_it_is_and_must_load(tmp_path):
    module = tf.Module()
    module.factor = tf.Variable(2.0)
    call = tf.function(lambda x: {"y": module.factor * x}, input_signature=[tf.TensorSpec([None], name="x")])
    tf.saved_model.save(module, str(tmp_path / "saved"), {"serving_default": call})
    samples = {"x": np.ones(3)}
    published = publish(tmp_path / "saved", name="m", repository=tmp_path / "models", samples=samples)
    facts = Repository(tmp_path / "models").read_manifest("m", 1)
    assert facts.signatures["serving_default"]["outputs"] == {"y": {"dtype": "float32", "shape": [-1]}}
    assert not publish(tmp_path / "saved", name="m", repository=tmp_path / "models", samples=samples).new

    data = next((tmp_path / "saved" / "variables").glob("variables.data*"))
    data.write_bytes(b"")
    with pytest.raises(FailedPrecondition, match="TensorFlow to load the SavedModel"):
        publish(tmp_path / "saved", name="m", repository=tmp_path / "models", samples=samples)
    assert Repository(tmp_path / "models").versions("m") == [published.version]
