"""The built-in recipes: what they learn, and that what they save is what they were."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

from modelport_training import TrainedModel
from modelport_training.recipe import names
from modelport_training.recipes.scaled import Scale
from tests.support.recipes import ON_DIGITS

Trained = Callable[[str], TrainedModel]
Run = Callable[..., subprocess.CompletedProcess[str]]


def test_the_recipes_are_these() -> None:
    assert names() == sorted([*ON_DIGITS, "image_folder", "tabular", "text"])


@pytest.mark.parametrize("name", ON_DIGITS)
def test_reaches_93_percent_on_held_out_digits(trained: Trained, name: str) -> None:
    metrics = trained(name).metrics
    accuracies = {key: value for key, value in metrics.items() if key.endswith("accuracy")}
    assert accuracies
    assert min(accuracies.values()) >= 0.93, accuracies


@pytest.mark.parametrize("name", ON_DIGITS)
def test_the_metric_is_that_of_the_raw_held_out_samples(trained: Trained, name: str) -> None:
    model = trained(name)
    if model.image is not None:
        answers = model.model.predict(model.image.preprocess(model.samples["image"]), verbose=0)
        right = np.mean(answers.argmax(1) == model.targets["label"])
    else:
        answers = model.model.predict(dict(model.samples), verbose=0)
        right = np.mean(answers["digit"].argmax(1) == model.targets["target_digit"])
        odd = np.mean((answers["parity"] > 0.5) == model.targets["target_parity"])
        assert odd >= 0.85
    assert right >= 0.85  # 64 samples of a model that is right in 93 % of all


@pytest.mark.parametrize(
    ("name", "widths"),
    [("sequential", [128, 10]), ("functional", [64, 128, 10]), ("scaled", [64, 10])],
)
def test_the_dense_layers(trained: Trained, name: str, widths: list[int]) -> None:
    model = trained(name).model
    assert model.input_shape == (None, 784)
    assert [layer.units for layer in model.layers if isinstance(layer, keras.layers.Dense)] == widths


def test_functional_has_its_dropout(trained: Trained) -> None:
    kinds = [type(layer).__name__ for layer in trained("functional").model.layers]
    assert kinds == ["InputLayer", "Dense", "Dropout", "Dense", "Dense"]
    assert trained("functional").model.layers[2].rate == 0.2


def test_two_branch_has_named_inputs_and_outputs(trained: Trained) -> None:
    model = trained("two_branch").model
    assert {key: tensor.shape for key, tensor in model.input.items()} == {
        "top": (None, 14, 28),
        "bottom": (None, 14, 28),
    }
    assert {key: tensor.shape for key, tensor in model.output.items()} == {"digit": (None, 10), "parity": (None, 1)}


def test_scale_multiplies_every_feature_by_its_own_factor() -> None:
    layer = Scale(name="mine", dtype="float64")
    layer.build((None, 3))
    layer.factor.assign([1.0, 2.0, -0.5])
    result = layer(np.array([[1.0, 1.0, 1.0], [2.0, 3.0, 4.0]]))
    assert (layer.name, result.dtype) == ("mine", "float64")
    np.testing.assert_array_equal(result, [[1.0, 2.0, -0.5], [2.0, 6.0, -2.0]])


def test_scale_keeps_its_configuration() -> None:
    copy = Scale.from_config(Scale(name="mine", dtype="float64").get_config())
    assert (copy.name, copy.dtype) == ("mine", "float64")


def test_scale_was_trained(trained: Trained) -> None:
    factor = trained("scaled").model.get_layer("scale").factor.numpy()
    assert factor.shape == (64,)
    assert not np.allclose(factor, 1.0)


def test_scaled_answers_equally_in_a_fresh_process(trained: Trained, tmp_path: Path, run_python: Run) -> None:
    model = trained("scaled")
    assert model.image is not None
    inputs = model.image.preprocess(model.samples["image"]).numpy()
    np.save(tmp_path / "inputs.npy", inputs)
    fresh = run_python(
        "-c",
        "import sys, keras, numpy as np; import modelport_training.recipes.scaled\n"
        "model = keras.saving.load_model(sys.argv[1])\n"
        "np.save(sys.argv[3], model(np.load(sys.argv[2])))",
        str(model.folder / "model.keras"),
        str(tmp_path / "inputs.npy"),
        str(tmp_path / "outputs.npy"),
    )
    assert fresh.returncode == 0, fresh.stderr
    np.testing.assert_array_equal(np.load(tmp_path / "outputs.npy"), model.model(inputs))
