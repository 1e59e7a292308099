"""Trainings that are killed at random moments and resumed end as those that were not: the same bits.

python -m tests.torture.training_kills --kills 20
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import psutil

# Of each: an epoch as one compiled function, with dropout; a stream from the disk; by two workers; by `fit`, with a
# schedule and two heads.
OWN = """
import keras
import numpy as np

x = np.random.default_rng(0).normal(size=(400, 6)).astype("float32")

def load_data():
    y = {"sum": x.sum(1), "sign": (x.sum(1) > 0).astype("int64")}
    split = lambda rows: (x[rows], {name: values[rows] for name, values in y.items()})
    return split(slice(0, 320)), split(slice(320, 400))

def build(classes):
    inputs = keras.Input((6,), name="x")
    hidden = keras.layers.Dropout(0.1)(keras.layers.Dense(16, activation="relu")(inputs))
    outputs = {"sum": keras.layers.Dense(1)(hidden), "sign": keras.layers.Dense(2, activation="softmax")(hidden)}
    model = keras.Model(inputs, outputs)
    schedule = keras.optimizers.schedules.CosineDecay(1e-2, 500)
    model.compile(keras.optimizers.Adam(schedule), {"sum": "mse", "sign": "sparse_categorical_crossentropy"})
    return model
"""
RECIPES = {
    "compiled": ["functional", "--epochs", "30"],
    "streamed": ["--data", "table.csv", "--target", "y", "--stream", "--epochs", "10", "--batch-size", "8"],
    "workers": ["two_branch", "--workers", "2", "--epochs", "8"],
    "fit": ["--recipe", "killed_recipe", "--way", "fit", "--epochs", "60"],
}
_DEADLINE_S = 200.0


def prepare(folder: Path) -> None:
    """Write the recipe and the table."""
    (folder / "killed_recipe.py").write_text(OWN)
    rows = random.Random(0)  # noqa: S311  # of moments and made-up rows, not of keys
    lines = [f"{rows.gauss(0, 1):.5f},{rows.choice('abc')},{rows.gauss(0, 1):.5f}" for _ in range(2000)]
    (folder / "table.csv").write_text("x,kind,y\n" + "\n".join(lines) + "\n")


def command(name: str, output: str) -> list[str]:
    """A training that goes on where there is something to go on with."""
    words = [*RECIPES[name], "--patience", "0", "--output", output, "--resume"]
    return [sys.executable, "-m", "modelport", "train", *words]


def outcome(run: Path) -> tuple[list[dict[str, float]], dict[str, bytes]]:
    """The history, and the bytes of weights and optimizer."""
    history = json.loads((run / "run.json").read_text())["history"]
    with zipfile.ZipFile(run / "model.keras") as archive:
        return history, {name: archive.read(name) for name in archive.namelist() if name.endswith(".h5")}


def whole(folder: Path, name: str) -> float:
    """Train undisturbed; the seconds that it took."""
    began = time.monotonic()
    subprocess.run(command(name, f"{name}-whole"), cwd=folder, check=True, capture_output=True, timeout=_DEADLINE_S)
    return time.monotonic() - began


def killed(folder: Path, name: str, kills: int, seconds: float, seed: int) -> int:
    """Train, killed so many times at random moments of a whole training's time; how often it was."""
    moments, done = random.Random(seed), 0  # noqa: S311  # moments, not secrets
    while done < kills:
        with subprocess.Popen(
            command(name, f"{name}-killed"),
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        ) as process:
            try:
                process.wait(moments.uniform(0.2, 0.9) * seconds)
            except subprocess.TimeoutExpired:
                children = psutil.Process(process.pid).children()
                if children and moments.random() < 0.5:  # one worker: the others are ended for it
                    moments.choice(children).kill()
                    process.wait(_DEADLINE_S)
                else:
                    os.killpg(process.pid, signal.SIGKILL)
                done += 1
            else:  # it was through: once more, from the beginning
                shutil.rmtree(folder / f"{name}-killed")
    subprocess.run(command(name, f"{name}-killed"), cwd=folder, check=True, capture_output=True, timeout=_DEADLINE_S)
    return done


def main() -> int:
    """Kill, and compare; returns 0 when all ended with the same bits."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=20, help="in total, over all recipes (20)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder)
        for number, recipe in enumerate(RECIPES):
            seconds = whole(folder, recipe)
            wanted = options.kills // len(RECIPES)
            done = killed(folder, recipe, wanted, seconds, options.seed + number)
            history, arrays = outcome(folder / f"{recipe}-whole")
            history_again, arrays_again = outcome(folder / f"{recipe}-killed")
            same = history == history_again and arrays == arrays_again
            failed += not same
            print(
                f"{recipe}: {done} kills, {len(history)} epochs, {'the same bits' if same else 'OTHER BITS'}",
                flush=True,
            )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
