"""How a recipe is found, and what is said of one that cannot be used."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from modelport.errors import FailedPrecondition, InvalidArgument, NotFound
from modelport_training import Dataset, Settings, load_recipe, train
from modelport_training.loop.batches import InMemory

Module = Callable[[str, str], str]

GOOD = """
    import keras
    from modelport_export.images import ImageInput

    IMAGE = ImageInput(28, 28)
    EPOCHS = 2

    def build(classes):
        layers = [keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(classes, "softmax")]
        return keras.Sequential(layers)
"""


def test_built_in() -> None:
    recipe = load_recipe("sequential")
    assert recipe.module == "modelport_training.recipes.sequential"
    assert recipe.name == "sequential"


def test_a_module_of_the_current_folder(module: Module) -> None:
    recipe = load_recipe(module("lookup_good", GOOD))
    assert (recipe.module, recipe.epochs, recipe.batch_size, recipe.learning_rate) == ("lookup_good", 2, 32, None)


def test_unknown_names_the_nearest() -> None:
    with pytest.raises(
        NotFound, match=r"convolutional, functional.* Received: 'sequental'\. Did you mean 'sequential'"
    ):
        load_recipe("sequental")


@pytest.mark.parametrize("name", ["no.such.module", "", "../sequential", "json.nothing"])
def test_unknown(name: str) -> None:
    with pytest.raises(NotFound, match="built-in recipe"):
        load_recipe(name)


def test_a_module_whose_import_is_missing(module: Module) -> None:
    with pytest.raises(FailedPrecondition, match="imports 'nowhere_to_be_found', which is not installed"):
        load_recipe(module("lookup_importing", "import nowhere_to_be_found"))


def test_a_module_that_raises(module: Module) -> None:
    with pytest.raises(FailedPrecondition, match="ZeroDivisionError: division by zero"):
        load_recipe(module("lookup_raising", "1 / 0"))


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("bad_build", "from modelport_export.images import ImageInput\nIMAGE = ImageInput(28, 28)", "'build'"),
        ("bad_both", GOOD + "\n    def inputs(x): ...", "either 'IMAGE'.*Received: both"),
        ("bad_builds", "def build(c): ...\ndef build_for(d): ...", "'build_for'.*Received: both"),
        ("bad_mode", GOOD.replace("EPOCHS = 2", "MODE = 'up'"), "'MODE' as 'min' or 'max'"),
        ("bad_weights", GOOD.replace("EPOCHS = 2", "CLASS_WEIGHT = [1]"), "'CLASS_WEIGHT' as a dict"),
        ("bad_image", "IMAGE = 28\ndef build(classes): ...", "'IMAGE' as an ImageInput. Received: 28"),
        ("bad_inputs", "inputs = 3\ndef build(classes): ...", "'inputs' as a function"),
        ("bad_epochs", GOOD.replace("EPOCHS = 2", "EPOCHS = 2.5"), "'EPOCHS' as a whole number above 0. Received: 2.5"),
        ("bad_rate", GOOD.replace("EPOCHS = 2", "LEARNING_RATE = 0.0"), "'LEARNING_RATE' as a float above 0"),
    ],
)
def test_a_bad_module(module: Module, name: str, text: str, said: str) -> None:
    with pytest.raises(InvalidArgument, match=said):
        load_recipe(module(name, text))


def test_build_that_gives_no_model(module: Module) -> None:
    name = module("bad_result", GOOD.replace("return keras", "return 7 or keras"))
    with pytest.raises(InvalidArgument, match=r"Expected a keras.Model from build\(10\).*Received: int"):
        train(Settings(recipe=name), stream=None)


def test_build_that_raises(module: Module) -> None:
    name = module("raising_build", GOOD.replace("return keras", "raise KeyError('mine') or keras"))
    with pytest.raises(FailedPrecondition, match="it raised KeyError: 'mine'"):
        train(Settings(recipe=name), stream=None)


def test_images_of_another_size(module: Module, tiny: Dataset) -> None:
    name = module("other_size", GOOD.replace("ImageInput(28, 28)", "ImageInput(32, 32, channels=3)"))
    with pytest.raises(InvalidArgument, match=r"uint8 images \(N, 32, 32, 3\).*Received: uint8 \(16, 28, 28\)"):
        InMemory(load_recipe(name), tiny, batch_size=4, seed=0)


def test_own_data_and_own_compilation(module: Module, tmp_path: Path) -> None:
    name = module(
        "own_table",
        """
        import keras
        import numpy as np
        from modelport_training import Dataset

        EPOCHS = 3

        def load_data():
            rows = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
            labels = (rows.sum(1) > 0).astype(np.int64)
            return Dataset("table", "made up", "none", ("low", "high"), rows[:40], labels[:40], rows[40:], labels[40:])

        def inputs(rows):
            return {"left": rows[:, :2], "right": rows[:, 2:]}

        def build(classes):
            left, right = keras.Input((2,), name="left"), keras.Input((2,), name="right")
            x = keras.layers.Concatenate()([left, right])
            out = keras.layers.Dense(classes, activation="softmax")(x)
            model = keras.Model({"left": left, "right": right}, out)
            model.compile(keras.optimizers.SGD(0.5), "sparse_categorical_crossentropy", metrics=["accuracy"])
            return model
        """,
    )
    trained = train(Settings(recipe=name), stream=None)
    assert trained.folder == Path("runs/own_table-own")
    assert isinstance(trained.model.optimizer.learning_rate.numpy().item(), float)
    assert type(trained.model.optimizer).__name__ == "SGD"
    assert trained.settings["learning_rate"] is None
    assert trained.image is None
    assert {name: array.shape for name, array in trained.samples.items()} == {"left": (20, 2), "right": (20, 2)}
    assert trained.targets["label"].shape == (20,)
    assert trained.data["name"] == "table"
