from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from modelport_training import Dataset, Settings, TrainedModel, train
from tests.support.shared import shared_folder


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], TrainedModel]:
    """Each recipe on the digits with its default settings, trained once."""
    done: dict[str, TrainedModel] = {}

    def get(name: str) -> TrainedModel:
        if name not in done:
            settings = Settings(recipe=name)
            folder = shared_folder(
                tmp_path_factory, f"run-{name}", lambda path: train(replace(settings, output=path), stream=None)
            )
            done[name] = TrainedModel.load(folder)
        return done[name]

    return get


@pytest.fixture
def tiny() -> Dataset:
    """Twenty images of two classes."""
    images = np.random.default_rng(0).integers(0, 256, (20, 28, 28), np.uint8)
    labels = np.arange(20, dtype=np.int64) % 2
    return Dataset("tiny", "made up", "none", ("even", "odd"), images[:16], labels[:16], images[16:], labels[16:])


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], str]:
    """Write a module of a user's own into the current folder; gives its name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(name: str, text: str) -> str:
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(text), "utf-8")
        return name

    return write


@pytest.fixture
def run_python(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run Python in a fresh process to its end, in the test's own folder."""

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *words], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
        )

    return run
