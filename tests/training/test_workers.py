"""Several processes that train together: what one would have learned, and an end when one of them is gone."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from modelport.errors import InvalidArgument
from modelport_training.workers.cluster import Cluster, cluster
from tests.support.shared import shared_folder

TRAIN = [sys.executable, "-m", "modelport", "train", "two_branch", "--patience", "0"]
EPOCHS = ("--epochs", "4")


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*TRAIN, *words], cwd=folder, capture_output=True, text=True, timeout=150, check=False)


def history(folder: Path) -> list[dict[str, float]]:
    return json.loads((folder / "run.json").read_text())["history"]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of one process."""

    def train(folder: Path) -> None:
        folder.mkdir()
        done = run(folder, *EPOCHS, "--output", "run")
        assert done.returncode == 0, done.stderr

    return shared_folder(tmp_path_factory, "alone", train) / "run"


def assert_equal(one: Path, other: Path) -> None:
    """To four digits: sums are added in another order."""
    for before, after in zip(history(one), history(other), strict=True):
        assert before.keys() == after.keys()
        for name, value in before.items():
            assert after[name] == pytest.approx(value, rel=1e-4, abs=1e-4), name


def test_two_learn_what_one_does(alone: Path, tmp_path: Path) -> None:
    done = run(tmp_path, *EPOCHS, "--output", "run", "--workers", "2")
    assert done.returncode == 0, done.stderr
    assert "Each batch is shared by 2 workers" in done.stdout
    assert done.stdout.count("epoch 1/4") == 1, "one display"
    assert_equal(alone, tmp_path / "run")
    assert {path.name for path in (tmp_path / "run.workers").iterdir()} == {"worker-0.log", "worker-1.log"}
    assert json.loads((tmp_path / "run/run.json").read_text())["settings"]["workers"] == 2


def workers_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    found = psutil.Process(process.pid).children()
    return sorted(found, key=lambda one: json.loads(one.environ()["TF_CONFIG"])["task"]["index"])


def test_one_is_killed_and_the_other_goes_on_alone(alone: Path, tmp_path: Path) -> None:
    """By as many: `make torture`."""
    words = (*EPOCHS, "--output", "run", "--workers", "2")
    with subprocess.Popen(
        [*TRAIN, *words], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        for line in process.stdout or ():
            if line.startswith("epoch 2/4"):
                break
        others = workers_of(process)
        others[1].send_signal(signal.SIGKILL)
        killed = time.monotonic()
        assert process.wait(30) == 1
        assert time.monotonic() - killed < 10
        said = (process.stderr or io.StringIO()).read().strip().splitlines()
    assert said[-1].startswith("modelport train: ")
    assert "--resume" in said[-1]
    assert not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in others)

    done = run(tmp_path, *EPOCHS, "--output", "run", "--resume")
    assert "It began with 2 workers and goes on with 1" in done.stdout
    assert done.returncode == 0, done.stderr
    assert "Resumed after epoch 2." in done.stdout
    assert_equal(alone, tmp_path / "run")


def test_what_the_chief_refuses_ends_all(alone: Path) -> None:
    done = run(alone.parent, *EPOCHS, "--output", "run", "--workers", "2")
    assert done.returncode == 1
    assert "a finished run; --overwrite (overwrite=True) replaces it." in done.stderr


REFUSED = """
import tensorflow as tf
cpu, = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from pathlib import Path
import keras
from modelport.errors import FailedPrecondition
from modelport_training import Settings, train
from modelport_training.recipes import two_branch

inputs, targets = two_branch.inputs, two_branch.targets

@keras.saving.register_keras_serializable()
class Own(keras.Model):
    def train_step(self, data):
        return super().train_step(data)

def build(classes, clipped=False):
    model = two_branch.build(classes)
    model = model if clipped else Own(model.input, model.output)
    model.compile(keras.optimizers.Adam(clipnorm=1.0 if clipped else None), "mse")
    return model

if __name__ == "__main__":
    for clipped in (True, False):
        try:
            train(Settings("refused", options={"clipped": clipped}, output=Path("run")))
        except FailedPrecondition as error:
            print(error.message)
"""


def test_what_several_cannot_do_as_one_does_is_refused(tmp_path: Path) -> None:
    """Each would clip its own part of a gradient; a step of the model's own knows nothing of parts."""
    (tmp_path / "refused.py").write_text(REFUSED)
    environment = {**os.environ, "MODELPORT_DEVICES": "CPU"}
    command = [sys.executable, "refused.py"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=100, check=False
    )
    assert "an optimizer without clipnorm" in done.stdout, done.stderr[-2000:]
    assert "Own with a train_step of its own. Train it by one." in done.stdout


def test_several_devices_of_one_process(alone: Path, tmp_path: Path) -> None:
    """What MirroredStrategy does with several GPUs, on two logical CPUs."""
    text = (
        "import tensorflow as tf\n"
        "cpu, = tf.config.list_physical_devices('CPU')\n"
        "tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)\n"
        "from pathlib import Path\nfrom modelport_training import Settings, train\n"
        "train(Settings('two_branch', epochs=4, patience=0, output=Path('run')))\n"
    )
    environment = {**os.environ, "MODELPORT_DEVICES": "CPU"}
    command = [sys.executable, "-c", text]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "shared by 2 workers" in done.stdout
    assert_equal(alone, tmp_path / "run")


CONFIGS = [
    "not json",
    '{"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "worker", "index": 2}}',
    '{"cluster": {"ps": ["a:1"], "worker": ["b:1"]}, "task": {"type": "worker", "index": 0}}',
    '{"cluster": {}, "task": {"type": "worker", "index": 0}}',
]


@pytest.mark.parametrize("text", CONFIGS)
def test_a_configuration_that_is_none(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(InvalidArgument, match="Expected TF_CONFIG as"):
        cluster()


def test_the_chief_is_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    for rank in (0, 1):
        monkeypatch.setenv("TF_CONFIG", Cluster(["a:1", "b:2"], rank).to_json())
        found = cluster()
        assert found == Cluster(["a:1", "b:2"], rank)
        assert found.is_chief == (rank == 0)
    chief = {"cluster": {"chief": ["a:1"], "worker": ["b:2"]}, "task": {"type": "worker", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(chief))
    assert cluster() == Cluster(["a:1", "b:2"], 1)
