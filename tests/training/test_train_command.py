"""`modelport train` in real processes."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from modelport_training import cli
from modelport_training.recipe import names

Run = Callable[..., subprocess.CompletedProcess[str]]
QUICK = ("--epochs", "1", "--batch_size", "256")


def test_json_on_stdout_and_our_own_lines_on_stderr(tmp_path: Path, run_python: Run) -> None:
    done = run_python("-m", "modelport", "train", "--recipe", "scaled", *QUICK, "--seed", "9", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["settings"]["seed"] == 9
    assert result["folder"] == "runs/scaled-digits"
    assert set(result["metrics"]) == {"accuracy", "loss"}
    assert (tmp_path / result["model"]).is_file()
    assert [line.split()[0] for line in done.stderr.splitlines()] == ["scaled", "Each", "epoch", "Held"]


def test_lines_for_a_person(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["sequential", *QUICK, "--output", str(tmp_path)]) == 0
    captured = capsys.readouterr()
    assert [line.split()[0] for line in captured.out.splitlines()] == ["sequential", "Each", "epoch", "Held", "Curves:"]
    assert captured.err == ""


def test_an_unknown_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["sequental"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("modelport train: Expected a built-in recipe")
    assert error.endswith("Did you mean 'sequential'?\n")
    assert not (tmp_path / "runs").exists()


def test_an_unknown_dataset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["sequential", "--dataset", "digit"]) == 1
    assert capsys.readouterr().err.endswith("Received: 'digit'. Did you mean 'digits'?\n")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("options", [["sequential", "--epochs", "0"], ["sequential", "--resume", "--overwrite"]])
def test_settings_out_of_range(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(options) == 2
    assert "modelport train: Expected" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options", [[], ["one", "--recipe", "two"], ["sequential", "--epochs", "many"], ["sequential", "--epoch", "1"]]
)
def test_a_wrong_command_line(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.parse(options)
    assert caught.value.code == 2
    assert "usage: modelport train" in capsys.readouterr().err


def test_help_names_the_recipes_and_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.parse(["--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    for word in (*names(), "--recipe", "--dataset", "--epochs", "--batch_size", "--learning_rate", "--seed"):
        assert word in text
    for word in ("--patience", "--output", "--resume", "--overwrite", "--json"):
        assert word in text


def test_parse_fills_the_settings() -> None:
    options = cli.parse(["--recipe", "my.module", "--learning_rate", "1e-2", "--output", "x/y", "--resume"])
    assert (options.recipe, options.learning_rate, options.output) == ("my.module", 0.01, Path("x/y"))
    assert (options.resume, options.overwrite, options.dataset, options.epochs) == (True, False, "digits", None)


@pytest.mark.parametrize(
    "statement",
    [
        "import modelport_training",
        "from modelport_training import Settings, Dataset, load_recipe, load_dataset",
        "from modelport_training import cli; cli.parse(['sequential'])",
        "from modelport_training import load_dataset; load_dataset('digits')",
    ],
)
def test_no_tensorflow_before_training(run_python: Run, statement: str) -> None:
    done = run_python("-c", f"{statement}\nimport sys; print([m for m in ('tensorflow', 'keras') if m in sys.modules])")
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr


def test_the_public_surface() -> None:
    import modelport_training

    assert [name for name in modelport_training.__all__ if not hasattr(modelport_training, name)] == []
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = modelport_training.nothing
