"""What a run remembers of the code that made it, and what is made of it later."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from modelport_training import lineage

RECIPE = """
import keras
import numpy as np
from helper import WIDTH
EPOCHS = 5
x = np.random.default_rng(0).normal(size=(200, 4)).astype("float32")

def load_data():
    return (x[:150], x[:150].sum(1)), (x[150:], x[150:].sum(1))

def build(classes, extra=0):
    return keras.Sequential([keras.Input((4,), name="x"), keras.layers.Dense(WIDTH + extra), keras.layers.Dense(1)])
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(RECIPE)
    (tmp_path / "helper.py").write_text("WIDTH = 3\n")
    return tmp_path


@pytest.fixture
def modelport(folder: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "modelport", "train", *words]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100, check=False)

    return run


def record(folder: Path) -> dict:
    return json.loads((folder / "run.json").read_text())


def test_code_revision_command_environment(folder: Path, modelport: Callable) -> None:
    for words in (["init", "-q"], ["add", "."], ["-c", "user.name=x", "-c", "user.email=x@x", "commit", "-qm", "x"]):
        subprocess.run(["git", "-C", folder, *words], check=True)
    (folder / "helper.py").write_text("WIDTH = 4\n")
    done = modelport("--recipe", "mine", "--epochs", "1", "--output", "run")
    assert done.returncode == 0, done.stderr
    found = record(folder / "run")
    assert set(found["code"]) == {"mine", "helper"}
    assert len(found["revision"]["commit"]) == 40
    assert found["revision"]["dirty"] is True
    assert found["command"][1:] == ["train", "--recipe", "mine", "--epochs", "1", "--output", "run"]
    assert found["environment"]["packages"]["keras"] == found["versions"]["keras"]


def kill_after(folder: Path, line: str, *words: str) -> None:
    command = [sys.executable, "-m", "modelport", "train", *words]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        for told in process.stdout or ():
            if told.startswith(line):
                process.kill()


def test_changed_code_is_not_resumed_unasked(folder: Path, modelport: Callable) -> None:
    words = ("--recipe", "mine", "--epochs", "300", "--patience", "0", "--output", "run")
    kill_after(folder, "epoch   2", *words)
    (folder / "helper.py").write_text("WIDTH = 3  # of the layer\n")
    refused = modelport(*words, "--resume")
    assert refused.returncode == 1
    assert "changed since in helper." in refused.stderr
    assert '--changed-code "why"' in refused.stderr
    done = modelport(*words, "--resume", "--changed-code", "a comment")
    assert done.returncode == 0, done.stderr
    (change,) = record(folder / "run")["changed_code"]
    assert (change["why"], change["modules"]) == ("a comment", ["helper"])


def test_a_run_is_made_once_more(folder: Path, modelport: Callable) -> None:
    words = ("--epochs", "2", "--seed", "7", "--learning-rate", "0.01", "--set", "extra=2", "--output", "first")
    assert modelport("--recipe", "mine", *words).returncode == 0
    again = modelport("--like", "first", "--output", "second")
    assert again.returncode == 0, again.stderr
    one, other = record(folder / "first"), record(folder / "second")
    assert one["settings"] == other["settings"]
    assert one["history"] == other["history"]
    assert "say --output" in modelport("--like", "first").stderr
    assert "leave out epochs" in modelport("--like", "first", "--output", "third", "--epochs", "5").stderr
    (folder / "mine.py").write_text(RECIPE.replace("default_rng(0)", "default_rng(1)"))
    other = modelport("--like", "first", "--output", "third")
    assert other.returncode == 1
    assert "which was changed since" in other.stderr
    assert "without run.json" in modelport("--like", ".", "--output", "third").stderr


def test_modules_that_are_new_changed_or_gone() -> None:
    assert lineage.changed({"a": "1", "b": "2", "c": "3"}, {"a": "1", "b": "4", "d": "5"}) == ["b", "c", "d"]
