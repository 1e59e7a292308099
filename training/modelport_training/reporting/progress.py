"""What a person sees of a training: one line an epoch, and on a terminal a bar within the epoch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn


def line(epoch: int, epochs: int, measured: Mapping[str, float], samples_per_second: float, seconds_left: float) -> str:
    """One epoch in a line: loss and metrics on training and validation examples, speed, time left."""
    width = len(str(epochs))
    return (
        f"epoch {epoch:>{width}}/{epochs}  {_values(measured, '')}  validation {_values(measured, 'val_')}  "
        f"{samples_per_second:,.0f} samples/s  {duration(seconds_left)} left"
    )


def _values(measured: Mapping[str, float], prefix: str) -> str:
    """The loss, then every metric; the losses of single outputs are left out."""
    metrics = [name for name in measured if f"val_{name}" in measured and not name.endswith("loss")]
    names = [name for name in ("loss", *metrics) if prefix + name in measured]
    names = names or [name for name in measured if prefix + name in measured]  # of a step that has no loss
    return " ".join(f"{name} {measured[prefix + name]:.4f}" for name in names)


def duration(seconds: float) -> str:
    """Whole seconds as 59 s, 2 min 5 s or 1 h 2 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


class Display:
    """Writes to a stream, plainly; with colours and a bar when the stream is a terminal; not at all when it is None."""

    def __init__(self, stream: TextIO | None, epochs: int) -> None:
        self._stream = stream
        self._console = Console(file=stream, highlight=True) if stream is not None and stream.isatty() else None
        self._epochs = epochs
        self._began = time.monotonic()
        self._seen = 0  # by this process: a resumed run is timed from where it goes on

    def say(self, text: str) -> None:
        """Write a line."""
        if self._console is not None:
            self._console.print(text, soft_wrap=True, markup=False)
        elif self._stream is not None:
            print(text, file=self._stream, flush=True)

    @contextmanager
    def bar(self, epoch: int, steps: int) -> Iterator[Callable[[int], None]]:
        """What is to be told how many steps are done; the bar disappears when the epoch is over."""
        if self._console is None:
            yield lambda done: None
            return
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("steps"))
        with Progress(*columns, console=self._console, transient=True) as progress:
            task = progress.add_task(f"epoch {epoch}/{self._epochs}", total=steps)
            yield lambda done: progress.update(task, completed=done)

    def epoch(self, epoch: int, measured: Mapping[str, float], samples_per_second: float) -> None:
        """Write an epoch's line."""
        self._seen += 1
        left = (time.monotonic() - self._began) / self._seen * (self._epochs - epoch)
        self.say(line(epoch, self._epochs, measured, samples_per_second, left))
