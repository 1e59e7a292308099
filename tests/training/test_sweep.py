"""Series of trainings."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from modelport.__main__ import main
from modelport.errors import InvalidArgument
from modelport_training import Settings
from modelport_training.sweep.space import Choice, settings_with

SWEEP = [sys.executable, "-m", "modelport", "sweep", "sequential", "--epochs", "2", "--output", "series"]
SPACE = ["--set", "learning_rate=1e-4..1e-2:log", "--set", "batch_size=64,256"]


def sweep(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*SWEEP, *words], cwd=folder, capture_output=True, text=True, timeout=150, check=False)


def trials(folder: Path) -> list[dict]:
    return json.loads((folder / "series/trials.json").read_text())["trials"]


def test_killed_and_gone_on_with(tmp_path: Path) -> None:
    """By two processes; the trial that was under way is tried again with its settings."""
    with subprocess.Popen(
        [*SWEEP, *SPACE, "--trials", "3"], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    ) as process:
        for line in process.stdout or ():
            if line.startswith("trial 1:"):
                process.terminate()
    done = sweep(tmp_path, *SPACE, "--trials", "3", "--workers", "2")
    assert done.returncode == 0, done.stderr
    found = trials(tmp_path)
    ended = [one for one in found if one["state"] in ("complete", "pruned")]
    assert len(ended) == 3
    again = [one for one in found if one["state"] == "fail"]
    assert all(one["folder"] in {other["folder"] for other in ended} for one in again), "in the same folder"
    best = min((one for one in ended if one["state"] == "complete"), key=lambda one: one["value"])
    assert f"modelport publish series/{best['folder']} --name NAME" in done.stdout
    run = json.loads((tmp_path / "series" / best["folder"] / "run.json").read_text())
    assert run["finished"]
    assert run["settings"]["batch_size"] == best["values"]["batch_size"]
    assert min(epoch["val_loss"] for epoch in run["history"]) == best["value"]
    assert (tmp_path / "series/trials.png").read_bytes().startswith(b"\x89PNG")

    told = sweep(tmp_path, *SPACE, "--trials", "3")
    assert "3 trials of sequential, 0 to be trained" in told.stdout
    other = sweep(tmp_path, "--set", "seed=1,2", "--trials", "3")
    assert other.returncode == 1
    assert "of other settings; give another output" in other.stderr


def test_settings_that_do_not_work_end_their_trial_alone(tmp_path: Path) -> None:
    done = sweep(tmp_path, "--set", "learning_rate=1e30,1e31", "--trials", "1")
    assert "finite" in done.stdout
    assert [one["state"] for one in trials(tmp_path)] == ["fail"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("learning_rate", "NAME=LOW..HIGH"),
        ("learning_rate=", "NAME=LOW..HIGH"),
        ("learning_rate=2..1", "no number below HIGH"),
        ("learning_rate=a..b", "no number below HIGH"),
        ("learning_rate=0..1:log", "begins above 0"),
        ("learning rate=1", "NAME=LOW..HIGH"),
    ],
)
def test_a_range_that_is_none(text: str, said: str) -> None:
    with pytest.raises(InvalidArgument, match=said):
        Choice.parse(text)


def test_what_a_range_says() -> None:
    assert Choice.parse("width=16..128") == Choice("width", 16, 128)
    assert Choice.parse("learning_rate=1e-4..1e-2:log") == Choice("learning_rate", 1e-4, 1e-2, log=True)
    assert Choice.parse("backbone=MobileNetV2,ResNet50").values == ("MobileNetV2", "ResNet50")
    settings = settings_with(Settings("tabular"), {"batch_size": 8, "width": 16})
    assert (settings.batch_size, settings.options) == (8, {"width": 16})


def test_a_command_that_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    def refused(*words: str) -> str:
        try:
            code = main(["sweep", *SWEEP[4:], *words])
        except SystemExit as error:
            code = error.code
        assert code == 2
        return capsys.readouterr().err

    assert "--set at least once" in refused()
    for words, said in (
        (("--set", "batch_size=0,1"), "Expected batch_size as a whole number"),
        (("--set", "seed=1,2", "--set", "seed=3"), "seed twice"),
        (("--set", "widht=1,2"), "an option of the recipe"),
    ):
        assert said in refused(*words)
