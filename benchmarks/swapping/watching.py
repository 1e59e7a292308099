"""The steady load of `swaps.py`, in a process of its own: every answer is computed again and its version noted.

`python -m swapping.watching <address> <rate> <file>` asks until its standard input ends and then writes a line for each
request: due and answered (monotonic clock, which all processes share), version (0: none), error.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
import psutil

from modelport.errors import DataLoss
from modelport_client import Client, Prediction
from modelport_client.loadtest import SteadyLoad
from swapping.versions import INPUT, NAME, OUTPUT, SCALE

THREADS = 16
ROWS = 8


@dataclass(frozen=True)
class Asked:
    """What became of one request; times in seconds on the monotonic clock."""

    due: float
    answered: float
    version: int
    error: str

    @property
    def latency_s(self) -> float:
        """From the moment that the request was due."""
        return self.answered - self.due


class Watcher:
    """The load as a process, for a `with` statement; `asked` holds all requests once it has been left.

    Args:
        address: of the server, gRPC.
        rate: requests a second.
        file: where the process leaves its record.
    """

    def __init__(self, address: str, rate: float, file: Path) -> None:
        self._file = file
        self._process = subprocess.Popen(
            [sys.executable, "-m", "swapping.watching", address, str(rate), str(file)],
            stdin=subprocess.PIPE,
            cwd=Path(__file__).parent.parent,
        )
        self.asked: list[Asked] = []

    def cpu_s(self) -> float:
        """Processor time that the load has used, in seconds."""
        times = psutil.Process(self._process.pid).cpu_times()
        return times.user + times.system

    def __enter__(self) -> Watcher:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._process.communicate(timeout=60)  # ends its standard input
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise
        if self._process.returncode:
            raise RuntimeError(f"the load ended with {self._process.returncode}")
        for line in self._file.read_text().splitlines():
            due, answered, version, text = line.split("\t", 3)
            self.asked.append(Asked(float(due), float(answered), int(version), text))


def _watch(address: str, rate: float, file: Path) -> None:
    x = np.linspace(-1, 1, ROWS, dtype=np.float32)
    with Client(address, retry=False) as client:

        def ask() -> Prediction:
            prediction = client.predict(NAME, {INPUT: x})
            expected = SCALE * x + np.float32(prediction.version or 0)
            if not np.allclose(prediction[OUTPUT], expected, atol=1e-4):
                raise DataLoss(f"Expected {expected[:2]} of {prediction.version}. Received: {prediction[OUTPUT][:2]}")
            return prediction

        ask()
        with SteadyLoad(ask, rate, THREADS) as load:  # its threads ask while this one waits
            sys.stdin.read()
    lines = (
        f"{o.due}\t{o.due + o.latency_s}\t{o.version or 0}\t{'' if o.error is None else _line(o.error)}"
        for o in load.outcomes
    )
    file.write_text("\n".join(lines) + "\n")


def _line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


if __name__ == "__main__":
    _watch(sys.argv[1], float(sys.argv[2]), Path(sys.argv[3]))
