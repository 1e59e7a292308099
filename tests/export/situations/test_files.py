"""Files and folders from elsewhere: what they are is told, and what cannot be asked is not proven."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from modelport import manifest
from modelport.errors import FailedPrecondition, ModelportError
from modelport_export import publish
from modelport_export.sources import load
from tests.export.situations.support import (
    X,
    check,
    keras_file,
    layers,
)

# Keras warns of models that are built by a call; here they are what users have.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def test_a_savedmodel_of_unknown_rank(tmp_path):
    spec = tf.TensorSpec(None, tf.float32, name="x")
    double = tf.function(lambda x: {"y": x * 2}, input_signature=[spec])
    tf.saved_model.save(tf.Module(), str(tmp_path / "saved"), {"serving_default": double})
    check(tmp_path / "saved", {"x": X}, {"y": tf.constant(X * 2)}, tmp_path, only=("grpc",))


def test_a_savedmodel_of_sparse_inputs_is_published_only_as_unproven(tmp_path):
    saved, v1 = str(tmp_path / "saved"), tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.sparse_placeholder(tf.float32, shape=[None, 4], name="x")
        y = tf.sparse.sparse_dense_matmul(x, tf.ones([4, 2]))
        infos = [{name: v1.saved_model.utils.build_tensor_info(tensor)} for name, tensor in (("x", x), ("y", y))]
        definition = v1.saved_model.signature_def_utils.build_signature_def(*infos, "tensorflow/serving/predict")
        builder = v1.saved_model.Builder(saved)
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": definition})
        builder.save()
    with pytest.raises(FailedPrecondition, match=r"'x' is a sparse tensor.*--unproven"):
        publish(saved, name="m", repository=tmp_path / "models")
    published = publish(saved, name="m", repository=tmp_path / "models", unproven="asked by hand")
    assert (published.path / "assets.extra" / "report.md").read_text("utf-8").startswith("# m: unproven: asked by hand")


@pytest.mark.parametrize(("version", "text"), [("2.15.0", "tf_keras"), ("99.1.0", "keras==99.1.0")])
def test_a_file_of_another_keras_is_told_as_that(tmp_path, version, text):
    path = tmp_path / "model.keras"
    keras_file(path, version)
    with pytest.raises(FailedPrecondition, match=f"was written by Keras {version}.*{text}") as caught:
        load(path)
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("allow_h5", [True, False])
def test_weights_are_no_model(tmp_path, allow_h5):
    path = tmp_path / "m.weights.h5"
    keras.Sequential([keras.Input((3,)), layers.Dense(1)]).save_weights(path)
    with pytest.raises(FailedPrecondition, match=r"holds weights and no model.*model.save"):
        load(path, allow_h5=allow_h5)


def test_somebody_elses_class_is_named_by_its_place(tmp_path):
    class Foreign(layers.Layer):
        def call(self, x):
            return x * 2

    x = keras.Input((3,))
    path = tmp_path / "model.keras"
    keras.Model(x, Foreign()(x)).save(path)
    with pytest.raises(ModelportError, match="--custom Foreign=module:Class"):
        load(path)
    globals()["Elsewhere"] = Foreign
    assert load(path, custom={"Foreign": f"{__name__}:Elsewhere"}).model is not None
    with pytest.raises(ModelportError, match="Nowhere"):
        load(path, custom={"Foreign": f"{__name__}:Nowhere"})


def test_a_savedmodel_with_a_scalar_beside_its_rows(tmp_path):
    specs = [tf.TensorSpec([None, 3], name="x"), tf.TensorSpec([], name="factor")]
    scale = tf.function(lambda x, factor: {"y": x * factor}, input_signature=specs)
    tf.saved_model.save(tf.Module(), str(tmp_path / "saved"), {"serving_default": scale})
    check(
        str(tmp_path / "saved"), {"x": X, "factor": np.float32(2)}, {"y": tf.constant(X * 2)}, tmp_path, only=("grpc",)
    )


def test_the_first_line_names_what_was_not_asked(tmp_path):
    one = tf.function(lambda x: {"y": x * 2}, input_signature=[tf.TensorSpec([None, 3], name="x")])
    parse = tf.function(
        lambda text: {"y": tf.io.decode_raw(text, tf.float32, fixed_length=8) + tf.strings.to_number(text)[:, None]},
        input_signature=[tf.TensorSpec([None], tf.string, name="text")],
    )
    tf.saved_model.save(tf.Module(), str(tmp_path / "saved"), {"serving_default": one, "raw": parse})
    published = publish(str(tmp_path / "saved"), name="m", repository=tmp_path / "models", samples={"x": X})
    assert manifest.read(published.path).proof["verdict"] == "proven; not asked: raw"


@pytest.mark.parametrize("version", ["", "nightly"])
def test_a_file_that_does_not_say_which_keras(tmp_path, version):
    path = tmp_path / "model.keras"
    keras_file(path, version)
    with pytest.raises(ModelportError, match="cannot load"):
        load(path)
