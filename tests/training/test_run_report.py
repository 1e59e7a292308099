"""`report.html` and the board of a run."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from modelport_export.report_page import parts
from modelport_training import Settings, TrainedModel, train
from tests.support import chromium

SECTIONS = ("Drawings", "Learning curve", "Epochs", "Settings", "Data", "Lineage", "code: modelport_training.recipes")


def text_of(folder: Path) -> str:
    text = (folder / "report.html").read_text("utf-8")
    assert len(text.encode()) < parts.MOST_BYTES
    assert re.findall(r'(?:src|href)="(?!data:|#)', text) == [], "nothing comes from elsewhere"
    return text


def test_a_classifier(trained: Callable[[str], TrainedModel]) -> None:
    text = text_of(trained("sequential").folder)
    for words in (*SECTIONS, "Confusion: label", "Calibration: label", "By class: label", "The worst mistakes: label"):
        assert words in text, words
    assert f"accuracy {trained('sequential').metrics['accuracy']:.4g}" in text
    assert "data:image/png;base64," in text


def test_two_heads(trained: Callable[[str], TrainedModel]) -> None:
    text = text_of(trained("two_branch").folder)
    for words in ("Confusion: target_digit", "Answered and true: target_parity"):
        assert words in text, words


@pytest.fixture(scope="module")
def regression(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("regression")
    rows = "".join(f"{n},{'ab'[n % 2]},{n * 1.5 + n % 2}\n" for n in range(200))
    (folder / "t.csv").write_text("n,letter,y\n" + rows)
    settings = Settings("tabular", data=folder / "t.csv", target="y", output=folder / "run", epochs=3)
    train(Settings(**{**vars(settings), "histograms": True, "profile": True}), stream=None)
    return folder / "run"


def test_numbers(regression: Path) -> None:
    text = text_of(regression)
    for words in (*SECTIONS, "Answered and true: label", "How far off: label", "off by"):
        assert words in text, words


@pytest.mark.skipif(chromium.find() is None, reason="no Chromium here: apt-get install chromium")
@pytest.mark.parametrize("dark", [False, True])
def test_in_a_browser(regression: Path, trained: Callable[[str], TrainedModel], tmp_path: Path, dark: bool) -> None:
    with chromium.page(tmp_path) as page:
        for folder in (regression, trained("sequential").folder):
            page.open((folder / "report.html").as_uri(), 390, dark=dark)
            assert page.evaluate("document.documentElement.scrollWidth") <= 390
            assert page.evaluate("document.querySelectorAll('.plots svg').length") == 3
            assert page.evaluate("[...document.images].every(one => one.naturalWidth > 0)")
        assert page.console == []
        assert [url for url in page.requests if not url.startswith(("file:", "data:"))] == []


def test_the_board(regression: Path, trained: Callable[[str], TrainedModel]) -> None:
    board = EventAccumulator(str(regression / "logs/train"), {"tensors": 0})
    board.Reload()
    tags = board.Tags()["tensors"]
    assert {"epoch_loss", "epoch_learning_rate", "scaled/kernel"} <= set(tags)
    assert len(board.Tensors("scaled/kernel")) == 3
    assert list((regression / "logs/plugins/profile").rglob("*.xplane.pb")), "of the second epoch"
    pictures = EventAccumulator(str(trained("sequential").folder / "logs/held_out"), {"tensors": 0})
    pictures.Reload()
    assert "worst mistakes" in pictures.Tags()["tensors"]
