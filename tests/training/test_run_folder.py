"""What a training leaves behind, and what becomes of a folder that holds something already."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from modelport.errors import AlreadyExists, DataLoss, FailedPrecondition, InvalidArgument
from modelport_export.images import ImageInput
from modelport_training import Settings, TrainedModel, train
from modelport_training.run_folder import RunFolder
from tests.support.recipes import ON_DIGITS
from tests.support.shared import shared_folder

Trained = Callable[[str], TrainedModel]


@pytest.mark.parametrize("name", ON_DIGITS)
def test_contents(trained: Trained, name: str) -> None:
    folder = trained(name).folder
    assert sorted(child.name for child in folder.iterdir()) == [
        "evaluation.npz",
        "learning_curve.png",
        "logs",
        "model.keras",
        "report.html",
        "run.json",
        "samples.npz",
    ]


def test_the_record(trained: Trained) -> None:
    model = trained("sequential")
    record = json.loads((model.folder / "run.json").read_text())
    assert (record["schema"], record["finished"], record["seed"]) == (1, True, 0)
    assert record["recipe"] == "modelport_training.recipes.sequential"
    assert record["dataset"]["name"] == "digits"
    assert len(record["dataset"]["fingerprint"]) == 64
    assert record["labels"] == list("0123456789")
    assert ImageInput.from_dict(record["image"]) == ImageInput(28, 28, shape=(784,))
    assert record["metrics"] == model.metrics
    assert len(record["history"]) <= record["settings"]["epochs"]
    assert set(record["history"][0]) == {"accuracy", "loss", "val_accuracy", "val_loss", "learning_rate"}
    losses = [epoch["val_loss"] for epoch in record["history"]]
    assert record["best_epoch"] == int(np.argmin(losses)) + 1
    assert record["versions"]["keras"] == keras.__version__


def test_the_samples_are_raw_and_named(trained: Trained) -> None:
    folder = trained("sequential").folder
    digests = json.loads((folder / "run.json").read_text())["samples"]
    with np.load(folder / "samples.npz", allow_pickle=False) as samples:
        assert {name: (array.shape, array.dtype) for name, array in samples.items()} == {
            "image": ((64, 28, 28), np.uint8),
            "label": ((64,), np.int64),
        }
        assert digests == {name: hashlib.sha256(array.tobytes()).hexdigest() for name, array in samples.items()}


def test_the_samples_of_two_inputs(trained: Trained) -> None:
    model = trained("two_branch")
    assert {name: (array.shape, array.dtype) for name, array in model.samples.items()} == {
        "top": ((64, 14, 28), np.float32),
        "bottom": ((64, 14, 28), np.float32),
    }
    assert model.samples["top"].max() == 255
    assert set(model.targets) == {"target_digit", "target_parity"}
    np.testing.assert_array_equal(model.targets["target_parity"][:, 0], model.targets["target_digit"] % 2)


def test_the_learning_curve_is_a_picture(trained: Trained) -> None:
    picture = tf.io.decode_png((trained("two_branch").folder / "learning_curve.png").read_bytes()).numpy()
    assert picture.shape[0] > 300
    assert picture.shape[1] > 800
    assert len(np.unique(picture.reshape(-1, picture.shape[2]), axis=0)) > 10


def test_the_logs_hold_every_epoch(trained: Trained) -> None:
    model = trained("functional")
    for name, prefix in (("train", ""), ("validation", "val_")):
        (events,) = (model.folder / "logs" / name).iterdir()
        seen = {
            (value.tag, event.step): float(tf.make_ndarray(value.tensor))
            for event in tf.compat.v1.train.summary_iterator(str(events))
            for value in event.summary.value
        }
        for epoch, measured in enumerate(model.history, 1):
            assert seen["epoch_loss", epoch] == pytest.approx(measured[f"{prefix}loss"])
            assert seen["epoch_accuracy", epoch] == pytest.approx(measured[f"{prefix}accuracy"])


def test_load_gives_what_train_gave(trained: Trained) -> None:
    model = trained("convolutional")
    again = TrainedModel.load(model.folder)
    assert (again.metrics, again.history, again.image) == (model.metrics, model.history, model.image)
    for one, other in zip(again.model.get_weights(), model.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_load_wants_a_finished_run(tmp_path: Path) -> None:
    with pytest.raises(FailedPrecondition, match="Received: no run"):
        TrainedModel.load(tmp_path)
    RunFolder(tmp_path).write_record({"finished": False})
    with pytest.raises(FailedPrecondition, match="Received: an unfinished run; resume it"):
        TrainedModel.load(tmp_path)


def test_load_says_which_file_is_missing(trained: Trained, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_bytes((trained("sequential").folder / "run.json").read_bytes())
    with pytest.raises(DataLoss, match=r"model\.keras"):
        TrainedModel.load(tmp_path)


def quick(folder: Path, **changes: object) -> Settings:
    return Settings(**{"recipe": "sequential", "epochs": 1, "batch_size": 256, "output": folder, **changes})


@pytest.fixture
def finished(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> Path:
    """A finished run of the quick settings, to be done with as one likes."""
    made = shared_folder(tmp_path_factory, "quick-run", lambda path: train(quick(path), stream=None))
    return shutil.copytree(made, tmp_path / "run")


def test_a_finished_run_is_not_replaced_unasked(finished: Path) -> None:
    first = TrainedModel.load(finished)
    with pytest.raises(AlreadyExists, match=r"Received: a finished run; --overwrite .* replaces it"):
        train(quick(finished), stream=None)
    resumed = train(quick(finished, resume=True), stream=None)
    assert resumed.history == first.history
    other = train(quick(finished, overwrite=True, seed=1), stream=None)
    assert other.history != first.history


def test_an_unfinished_run_is_not_replaced_unasked(tmp_path: Path) -> None:
    RunFolder(tmp_path).write_record({"finished": False})
    with pytest.raises(
        AlreadyExists, match=r"an unfinished run; --resume .* goes on with it, --overwrite .* replaces it"
    ):
        train(quick(tmp_path), stream=None)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"seed": 5}, "seed was 0 and is 5"),
        ({"epochs": 2}, "epochs was 1 and is 2"),
        ({"learning_rate": 0.5}, "learning_rate was 0.002 and is 0.5"),
        ({"batch_size": 128, "patience": 1}, "batch_size was 256 and is 128; patience was 5 and is 1"),
        ({"recipe": "scaled"}, r"recipe was '.*\.sequential' and is '.*\.scaled'"),
    ],
)
def test_other_settings_are_not_resumed(finished: Path, change: dict[str, object], said: str) -> None:
    with pytest.raises(FailedPrecondition, match=said):
        train(quick(finished, resume=True, **change), stream=None)


def test_other_data_are_not_resumed(finished: Path) -> None:
    record = json.loads((finished / "run.json").read_text())
    record["dataset"]["fingerprint"] = "0" * 64
    (finished / "run.json").write_text(json.dumps(record))
    with pytest.raises(FailedPrecondition, match="the data had the fingerprint 0000"):
        train(quick(finished, resume=True), stream=None)


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_of_other_things_is_left_alone(tmp_path: Path, overwrite: bool) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "mine.txt").write_text("keep")
    with pytest.raises(FailedPrecondition, match=r"a folder with logs and no run\.json"):
        train(quick(tmp_path, overwrite=overwrite), stream=None)
    assert (tmp_path / "logs" / "mine.txt").read_text() == "keep"


@pytest.mark.parametrize("text", ["", "[]", "{", '{"schema": 99}'])
def test_a_record_that_cannot_be_read(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(DataLoss, match=r"run\.json"):
        train(quick(tmp_path, resume=True), stream=None)


def test_output_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(AlreadyExists, match="Cannot make the run folder"):
        train(quick(tmp_path / "file"), stream=None)


def test_two_processes_do_not_share_a_folder(tmp_path: Path) -> None:
    holder = (
        "import sys; from pathlib import Path; from modelport_training.run_folder import RunFolder\n"
        "with RunFolder(Path(sys.argv[1])).locked(): print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", holder, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(FailedPrecondition, match="another process trains in it"):
            train(quick(tmp_path), stream=None)
        other.kill()
    train(quick(tmp_path), stream=None)


def test_the_default_folder_is_named_for_recipe_and_dataset() -> None:
    from modelport_training import load_recipe

    recipe = load_recipe("scaled")
    assert Settings(recipe="scaled").folder(recipe) == Path("runs/scaled-digits")
    assert Settings(recipe="scaled", dataset="tfds:a/b:1.0.0").folder(recipe) == Path("runs/scaled-tfds-a-b-1.0.0")


def test_a_diverging_loss_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FailedPrecondition, match=r"finite loss.*Lower the learning rate"):
        train(quick(tmp_path, learning_rate=1e30, epochs=5), stream=None)
    assert not (tmp_path / "model.keras").exists()


@pytest.mark.parametrize(
    "change",
    [{"epochs": 0}, {"batch_size": -1}, {"seed": -1}, {"patience": 1.5}, {"learning_rate": 0.0}, {"epochs": True}],
)
def test_settings_out_of_range(change: dict[str, object]) -> None:
    with pytest.raises(InvalidArgument, match=f"Expected {next(iter(change))} as a .*Received"):
        quick(Path("unused"), **change)


def test_publish_makes_a_version(trained: Trained, tmp_path: Path) -> None:
    published = trained("two_branch").publish(tmp_path, "halves")
    assert (published.version, published.new) == (1, True)
    assert (tmp_path / "halves" / "1" / "saved_model.pb").is_file()
