import importlib
import json
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from modelport.errors import DataLoss, FailedPrecondition, InvalidArgument, NotFound, PermissionDenied
from modelport_export import ImageInput, publish, sources
from modelport_export.checks import check_model

layers = keras.layers

MODULE = """
import keras

@keras.saving.register_keras_serializable("mine")
class Twice(keras.layers.Layer):
    def call(self, x):
        return 2 * x
"""


@pytest.fixture
def custom_file(tmp_path, monkeypatch):
    """A `.keras` file whose custom class is registered by the module `twice_layers`, which was never imported."""
    (tmp_path / "twice_layers.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    layer = importlib.import_module("twice_layers").Twice()
    keras.Sequential([keras.Input((2,)), layer]).save(tmp_path / "custom.keras")
    keras.saving.get_custom_objects().pop("mine>Twice", None)
    monkeypatch.delitem(sys.modules, "twice_layers")
    yield tmp_path / "custom.keras"
    keras.saving.get_custom_objects().pop("mine>Twice", None)


def test_a_custom_class_that_is_not_known_is_named_with_the_remedy(custom_file):
    with pytest.raises(FailedPrecondition, match=r"'Twice'.*register_keras_serializable.*--import"):
        sources.load(custom_file)


def test_an_imported_module_registers_it(custom_file):
    model = sources.load(custom_file, imports=["twice_layers"]).model
    np.testing.assert_array_equal(model(np.ones((1, 2))), [[2, 2]])


def test_a_module_that_cannot_be_imported(custom_file):
    with pytest.raises(FailedPrecondition, match=r"'no_such_module'.*--import.*PYTHONPATH"):
        sources.load(custom_file, imports=["no_such_module"])


def with_lambda():
    return keras.Sequential([keras.Input((2,)), layers.Lambda(lambda x: x + 1, name="plus")])


def test_lambda_layers_are_refused_unless_allowed(tmp_path):
    with_lambda().save(tmp_path / "model.keras")
    with pytest.raises(PermissionDenied, match=r"without Lambda.*--allow-lambda"):
        sources.load(tmp_path / "model.keras")
    model = sources.load(tmp_path / "model.keras", allow_lambda=True).model
    with pytest.raises(PermissionDenied, match="'plus'"):
        check_model(model, allow_lambda=False)
    check_model(model, allow_lambda=True)


def test_a_lambda_layer_within_a_model_within_a_model_is_found():
    x = keras.Input((2,))
    with pytest.raises(PermissionDenied, match="'plus'"):
        check_model(keras.Model(x, keras.Sequential([with_lambda()])(x)), allow_lambda=False)


@pytest.mark.filterwarnings("ignore")  # Keras warns that the format is old
def test_h5_files_are_refused_unless_allowed(tmp_path):
    keras.Sequential([keras.Input((2,)), layers.Dense(1)]).save(tmp_path / "model.h5")
    with pytest.raises(PermissionDenied, match=r"\.h5 files.*--allow-h5"):
        sources.load(tmp_path / "model.h5")
    assert sources.load(tmp_path / "model.h5", allow_h5=True).model.input_shape == (None, 2)


def test_paths_that_are_no_source(tmp_path):
    with pytest.raises(NotFound, match="does not exist"):
        sources.load(tmp_path / "nowhere.keras")
    with pytest.raises(InvalidArgument, match=r"run folder with run\.json"):
        sources.load(tmp_path)


def test_a_keras_file_that_was_cut_short(tmp_path):
    keras.Sequential([keras.Input((2,)), layers.Dense(1)]).save(tmp_path / "model.keras")
    whole = (tmp_path / "model.keras").read_bytes()
    (tmp_path / "model.keras").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataLoss, match=r"model\.keras"):
        sources.load(tmp_path / "model.keras")


@pytest.fixture
def run_folder(tmp_path, digits, images):
    digits().save(tmp_path / "model.keras")
    np.savez(tmp_path / "samples.npz", image=images, label=np.zeros(16))
    record = {
        "recipe": None,
        "labels": list("0123456789"),
        "image": ImageInput(28, 28, shape=(784,)).to_dict(),
        "metrics": {"accuracy": 0.5},
        "dataset": {"name": "noise"},
        "settings": {"epochs": 1},
    }
    (tmp_path / "run.json").write_text(json.dumps(record))
    return tmp_path


def test_a_run_folder_says_all(run_folder, images):
    source = sources.load(run_folder)
    assert source.image == ImageInput(28, 28, shape=(784,))
    assert list(source.labels) == list("0123456789")
    assert source.metrics == {"accuracy": 0.5}
    assert source.data == {"name": "noise"}
    assert source.training["epochs"] == 1
    assert list(source.samples) == ["image"]
    np.testing.assert_array_equal(source.samples["image"], images)


def test_targets_are_no_inputs(run_folder):
    np.savez(run_folder / "samples.npz", a=np.ones(2), b=np.array(["x", "y"]), target_price=np.ones(2))
    record = json.loads((run_folder / "run.json").read_text())
    (run_folder / "run.json").write_text(json.dumps({**record, "image": None}))
    source = sources.load(run_folder)
    assert sorted(source.samples) == ["a", "b"]
    assert source.labels is None, "only the signatures of an image classifier answer with labels"


def test_an_unfinished_run_and_a_broken_record(run_folder):
    (run_folder / "run.json").write_text('{"finished": false}')
    with pytest.raises(FailedPrecondition, match="Resume it"):
        sources.load(run_folder)
    for text in ("{", "[]"):
        (run_folder / "run.json").write_text(text)
        with pytest.raises(DataLoss, match="JSON"):
            sources.load(run_folder)


def test_samples_run_no_code(tmp_path):
    np.savez(tmp_path / "evil.npz", x=np.array([print], object))
    with pytest.raises(DataLoss, match="Python objects"):
        sources.read_npz(tmp_path / "evil.npz")
    np.save(tmp_path / "plain.npy", np.ones(2))
    with pytest.raises(DataLoss, match=r"np\.savez"):
        sources.read_npz(tmp_path / "plain.npy")


class NeverCalled(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(1)

    def call(self, x):
        return self.dense(x)


def built_without_layers():
    """`built` is set, yet the layer inside has no weights until the first call."""
    model = NeverCalled()
    model.built = True
    return model


@pytest.mark.parametrize(
    ("model", "error", "text"),
    [
        (keras.Sequential([layers.Dense(1)]), FailedPrecondition, "no weights yet"),
        (NeverCalled(), FailedPrecondition, "no weights yet"),
        (built_without_layers(), FailedPrecondition, "2 new weights, never trained"),
        (layers.Dense(1), InvalidArgument, r"keras\.Model.*Dense"),
        (tf.Module(), InvalidArgument, r"keras\.Model.*Module"),
    ],
    ids=["sequential", "subclassed", "inner layer", "layer", "module"],
)
def test_what_was_never_built_or_is_no_model(tmp_path, model, error, text):
    with pytest.raises(error, match=text):
        publish(model, name="m", repository=tmp_path / "models", samples={"x": np.ones((2, 3), "float32")})
    assert not (tmp_path / "models").exists()


def test_another_backend_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(keras.config, "backend", lambda: "jax")
    with pytest.raises(FailedPrecondition, match="KERAS_BACKEND=tensorflow"):
        check_model(keras.Sequential([keras.Input((2,)), layers.Dense(1)]), allow_lambda=False)
