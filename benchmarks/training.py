"""How fast the three dense recipes train, against the same models by plain `fit`, in turns.

Both train on MNIST with one batch size, for the same epochs, on 54,000 examples, and look at 6,000 others after each
epoch. The wall time is that of the whole process: imports, data, training, held-out examples, files. Steady samples a
second are those of the best epoch but the first.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

MODELS = {
    "sequential": "[L.Input((784,)), L.Dense(128, activation='relu'), L.Dense(10, activation='softmax')]",
    "functional": "[L.Input((784,)), L.Dense(64, activation='relu'), L.Dropout(0.2), L.Dense(128, activation='relu'),"
    " L.Dense(10, activation='softmax')]",
    "scaled": "[L.Input((784,)), L.Dense(64, activation='relu'), Scale(), L.Dense(10, activation='softmax')]",
}
# What people write, with the recipes' learning rate. `fit` leaves the weights of the last epoch, and ours keeps those
# of the lowest validation loss; so that like is compared with like, the accuracy of both is told for `fit`.
PLAIN = """
import json, sys, time
import keras
from keras import layers as L
from modelport_training.datasets import load_dataset
from modelport_training.recipes.scaled import Scale

seed, epochs = int(sys.argv[1]), int(sys.argv[2])
keras.utils.set_random_seed(seed)
data = load_dataset("mnist")
x, y = data.train.inputs.reshape(-1, 784).astype("float32") / 255, data.train.targets
model = keras.Sequential(MODEL)
model.compile(keras.optimizers.Adam(RATE), "sparse_categorical_crossentropy", metrics=["accuracy"])

class Watch(keras.callbacks.Callback):
    speeds = []
    def on_epoch_begin(self, epoch, logs=None):
        self.began = time.monotonic()
    def on_test_begin(self, logs=None):
        self.speeds.append(54_000 / (time.monotonic() - self.began))
    def on_epoch_end(self, epoch, logs=None):
        if not hasattr(self, "lowest") or logs["val_loss"] < self.lowest:
            self.lowest, self.best = logs["val_loss"], self.model.get_weights()

watch = Watch()
model.fit(x, y, batch_size=32, epochs=epochs, validation_split=0.1, verbose=0, callbacks=[watch])
x, y = data.test.inputs.reshape(-1, 784).astype("float32") / 255, data.test.targets
accuracy = model.evaluate(x, y, verbose=0, return_dict=True)["accuracy"]
model.save("plain.keras")
model.set_weights(watch.best)
best = model.evaluate(x, y, verbose=0, return_dict=True)["accuracy"]
print(json.dumps({"accuracy": best, "last": accuracy, "speed": max(Watch.speeds[1:] or Watch.speeds)}))
"""


def main() -> int:
    """Train in turns, and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=1, help="trainings of each (5 for the figures of the documents)")
    parser.add_argument("--models", default=",".join(MODELS))
    options = parser.parse_args()
    table = Table("model", "plain fit", "ours", "wall", "steady", "accuracy of fit (last epoch), ours")
    for name in options.models.split(","):
        both = [
            (_plain(name, seed, options.epochs), _ours(name, seed, options.epochs)) for seed in range(options.seeds)
        ]
        walls = [plain["wall"] / ours["wall"] for plain, ours in both]
        speeds = [ours["speed"] / plain["speed"] for plain, ours in both]
        points = [100 * statistics.mean(one[kind]["accuracy"] for one in both) for kind in (0, 1)]
        plain, ours = (
            {key: statistics.mean(one[kind][key] for one in both) for key in both[0][kind]} for kind in (0, 1)
        )
        table.add_row(
            name,
            f"{plain['wall']:.1f} s, {plain['speed']:,.0f}/s",
            f"{ours['wall']:.1f} s, {ours['speed']:,.0f}/s",
            f"{statistics.geometric_mean(walls):.1f} x",
            f"{statistics.geometric_mean(speeds):.1f} x",
            f"{points[0]:.2f} % ({100 * plain['last']:.2f} %), {points[1]:.2f} %",
        )
    Console().print(table)
    return 0


def _plain(name: str, seed: int, epochs: int) -> dict[str, float]:
    program = PLAIN.replace("MODEL", MODELS[name]).replace("RATE", "2e-3")
    return _run([sys.executable, "-c", program, str(seed), str(epochs)])


def _ours(name: str, seed: int, epochs: int) -> dict[str, float]:
    words = ["--dataset", "mnist", "--epochs", str(epochs), "--seed", str(seed), "--patience", "0", "--output", "run"]
    return _run([sys.executable, "-m", "modelport", "train", name, *words])


def _run(command: list[str]) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
        wall = time.monotonic() - began
        lines = done.stdout.splitlines()
        if (record := Path(folder) / "run/run.json").exists():
            told = [
                float(line.split(" samples/s")[0].split()[-1].replace(",", "")) for line in lines if "samples/s" in line
            ]
            found = {"accuracy": json.loads(record.read_text())["metrics"]["accuracy"], "speed": max(told[1:] or told)}
        else:
            found = json.loads(lines[-1])
    what = "ours" if "train" in command else "plain fit"
    print(f"{what}: accuracy {found['accuracy']:.4f}, {wall:.1f} s", flush=True)
    return {**found, "wall": wall}


if __name__ == "__main__":
    sys.exit(main())
