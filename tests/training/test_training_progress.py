"""What a person sees."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest

from modelport_training import Settings, train
from modelport_training.reporting import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_one_line_an_epoch(tmp_path: Path) -> None:
    stream = io.StringIO()
    train(Settings(recipe="two_branch", epochs=3, batch_size=128, output=tmp_path), stream=stream)
    lines = [line for line in stream.getvalue().splitlines() if line.startswith("epoch")]
    number = r"\d\.\d{4}"
    values = f"loss {number} digit_accuracy {number} parity_accuracy {number}"
    for epoch, line in enumerate(lines, 1):
        pattern = rf"epoch {epoch}/3  {values}  validation {values}  [\d,]+ samples/s  \d+ s left"
        assert re.fullmatch(pattern, line), line
    assert len(lines) == 3
    assert lines[-1].endswith(" 0 s left")
    assert "1,298 training, 144 validation and 355 held-out examples" in stream.getvalue()


def test_a_terminal_gets_a_bar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    stream = Terminal()
    train(Settings(recipe="sequential", epochs=2, batch_size=8, output=tmp_path), stream=stream)
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue())
    assert "steps" in shown
    assert "163/163" in shown
    assert len(re.findall(r"epoch 2/2  loss", shown)) == 1


def test_no_stream_shows_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    train(Settings(recipe="sequential", epochs=1, batch_size=256, output=tmp_path), stream=None)
    assert capfd.readouterr().out == ""


def test_early_stopping_is_told(tmp_path: Path) -> None:
    stream = io.StringIO()
    settings = Settings(recipe="sequential", epochs=50, patience=1, learning_rate=0.05, output=tmp_path)
    trained = train(settings, stream=stream)
    assert len(trained.history) < 50
    assert "Stopped early: no better validation loss in 1 epochs." in stream.getvalue()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (125, "2 min 5 s"), (3720, "1 h 2 min")],
)
def test_duration(seconds: float, text: str) -> None:
    assert progress.duration(seconds) == text
