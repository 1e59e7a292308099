"""A run that is killed and resumed ends as one that was not: the same bits."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelport.errors import DataLoss, FailedPrecondition
from modelport_training import Settings, TrainedModel, train
from modelport_training.loop import checkpoint
from modelport_training.loop.checkpoint import Standing
from tests.torture import training_kills

# The functional recipe (it has dropout, whose random state must come back), with every training step told to a file.
WATCHED = """
import keras, tensorflow as tf
from modelport_training.recipes import functional

IMAGE, EPOCHS, BATCH_SIZE, LEARNING_RATE = functional.IMAGE, 5, 4, 1e-3


@keras.saving.register_keras_serializable(package="watched")
class Watched(keras.Model):
    def train_step(self, data):
        tf.print("step", output_stream="file://steps.txt")
        return super().train_step(data)


def build(classes):
    plain = functional.build(classes)
    model = Watched(plain.inputs, plain.outputs)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"], jit_compile=False)
    return model
"""
STEPS = 325  # an epoch: 1,298 examples in fours


def start(folder: Path, output: str, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "modelport_training.cli", "watched_recipe", "--output", output, *options]
    return subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
    )


def steps(folder: Path) -> int:
    path = folder / "steps.txt"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def kill_after_line(process: subprocess.Popen[str], text: str) -> list[str]:
    """Kill the process as soon as it writes a line that begins so; gives the lines up to it."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line.rstrip())
        if line.startswith(text):
            kill(process)
            return lines
    pytest.fail(f"no line {text!r} in {lines}; {process.stderr.read() if process.stderr else ''}")


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL


def outcome(folder: Path) -> tuple[dict[str, Any], list[np.ndarray]]:
    trained = TrainedModel.load(folder)
    # The state of dropout's random numbers is no weight: a .keras file does not keep it, our checkpoint does.
    arrays = [variable.numpy() for variable in (*trained.model.weights, *trained.model.optimizer.variables)]
    assert len(arrays) == 6 + 2 + 2 * 6
    record = json.loads((folder / "run.json").read_text())
    return {key: record[key] for key in ("history", "best_epoch", "metrics", "settings", "samples")}, arrays


def test_killed_between_epochs_and_within_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "watched_recipe.py").write_text(WATCHED, "utf-8")
    train(Settings(recipe="watched_recipe", output=Path("whole"), way="fit"), stream=None)
    assert steps(tmp_path) == 5 * STEPS + 1, "one in the rehearsal"

    # At the end of the first epoch.
    (tmp_path / "steps.txt").unlink()
    kill_after_line(start(tmp_path, "killed", "--way", "fit"), "epoch 1/5")
    assert not (tmp_path / "killed" / "model.keras").exists()

    # In the middle of the third.
    (tmp_path / "steps.txt").unlink()
    process = start(tmp_path, "killed", "--resume")
    deadline = time.monotonic() + 60
    while steps(tmp_path) < STEPS + 20:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.001)
    kill(process)
    assert STEPS < steps(tmp_path) < 2 * STEPS, "the kill came too late to be in the middle of the third epoch"

    # When only the files were left to write.
    process = start(tmp_path, "killed", "--resume")
    seen = kill_after_line(process, "Held out")
    assert "Resumed after epoch 2." in seen
    assert [line[:9] for line in seen if line.startswith("epoch")] == ["epoch 3/5", "epoch 4/5", "epoch 5/5"]

    train(Settings(recipe="watched_recipe", output=Path("killed"), resume=True), stream=None)

    whole, whole_arrays = outcome(tmp_path / "whole")
    killed, killed_arrays = outcome(tmp_path / "killed")
    assert killed == whole
    for one, other in zip(killed_arrays, whole_arrays, strict=True):
        np.testing.assert_array_equal(one, other)


def test_killed_where_an_epoch_is_one_compiled_function(tmp_path: Path) -> None:
    """Dropout draws by Philox there, and its state comes back too."""
    options = ("--epochs", "6", "--patience", "0", "--way", "compiled")
    command = [sys.executable, "-m", "modelport_training.cli", "functional", *options]
    subprocess.run([*command, "--output", "whole"], cwd=tmp_path, check=True, capture_output=True, timeout=120)
    process = subprocess.Popen(
        [*command, "--output", "killed", "--resume"], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    )
    kill_after_line(process, "epoch 5/6")
    done = subprocess.run([*command, "--output", "killed", "--resume"], cwd=tmp_path, capture_output=True, text=True)
    assert "Resumed after epoch 5." in done.stdout
    whole, whole_arrays = outcome(tmp_path / "whole")
    killed, killed_arrays = outcome(tmp_path / "killed")
    assert (killed, whole["settings"]["way"], whole["settings"]["generator"]) == (whole, "compiled", "philox")
    for one, other in zip(killed_arrays, whole_arrays, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_seed_decides_the_weights(tmp_path: Path) -> None:
    def weights(name: str, seed: int) -> np.ndarray:
        settings = Settings(recipe="convolutional", epochs=1, batch_size=128, seed=seed, output=tmp_path / name)
        return np.concatenate([array.ravel() for array in train(settings, stream=None).model.get_weights()])

    first = weights("first", 3)
    np.testing.assert_array_equal(weights("second", 3), first)
    assert not np.array_equal(weights("third", 4), first)


def test_nothing_to_resume_starts(tmp_path: Path) -> None:
    settings = Settings(recipe="sequential", epochs=1, batch_size=256, resume=True, output=tmp_path / "new")
    assert len(train(settings, stream=None).history) == 1


def test_early_stopping_counts_from_the_best_epoch() -> None:
    standing = Standing()
    for loss in (1.0, 0.5, 0.6, 0.7):
        standing.add({"loss": loss, "val_loss": loss}, [], "val_loss", "min")
    assert standing.best_epoch == 2
    assert not standing.stale(3)
    assert standing.stale(2)
    assert not standing.stale(0)


@pytest.fixture
def model() -> Any:
    import keras

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2), keras.layers.Dropout(0.5)])
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    return model


def test_a_checkpoint_of_another_model(tmp_path: Path, model: Any) -> None:
    import keras

    standing = Standing()
    standing.add({"loss": 1.0, "val_loss": 1.0}, model.variables, "val_loss", "min")
    checkpoint.save(tmp_path / "c.npz", model, standing)
    other = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4)])
    other.compile("adam", "mse")
    other.optimizer.build(other.trainable_variables)
    with pytest.raises(FailedPrecondition, match="the recipe was changed since"):
        checkpoint.restore(tmp_path / "c.npz", other)


def test_a_checkpoint_brings_everything_back(tmp_path: Path, model: Any) -> None:
    model.fit(np.ones((8, 3)), np.ones((8, 2)), epochs=3, verbose=0)
    standing = Standing()
    standing.add({"loss": 0.1, "val_loss": 0.2}, model.variables, "val_loss", "min")
    checkpoint.save(tmp_path / "c.npz", model, standing)
    saved = [variable.numpy() for variable in (*model.variables, *model.optimizer.variables)]
    assert any("seed" in variable.path for variable in model.variables)
    model.fit(np.ones((8, 3)), np.zeros((8, 2)), epochs=3, verbose=0)
    restored = checkpoint.restore(tmp_path / "c.npz", model)
    for variable, array in zip((*model.variables, *model.optimizer.variables), saved, strict=True):
        np.testing.assert_array_equal(variable.numpy(), array)
    assert (restored.history, restored.best_epoch) == (standing.history, 1)


def test_a_checkpoint_that_cannot_be_read(tmp_path: Path, model: Any) -> None:
    (tmp_path / "c.npz").write_bytes(b"PK\x03\x04 and then nothing")
    with pytest.raises(DataLoss, match="Expected a checkpoint"):
        checkpoint.restore(tmp_path / "c.npz", model)


def test_a_stream_is_killed_at_a_random_moment(tmp_path: Path) -> None:
    """Once; `make torture` does it twenty times, with all kinds of recipes."""
    name = "streamed"
    training_kills.prepare(tmp_path)
    seconds = training_kills.whole(tmp_path, name)
    training_kills.killed(tmp_path, name, kills=1, seconds=seconds, seed=1)
    history, arrays = training_kills.outcome(tmp_path / f"{name}-whole")
    again, arrays_again = training_kills.outcome(tmp_path / f"{name}-killed")
    assert again == history
    assert arrays_again == arrays
