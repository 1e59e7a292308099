"""The other clients: each a small closed loop in a process of its own, so that its times are the server's.

`python -m fairness_load.probes <rest|grpc> <port> <file>` asks until its standard input ends, and then writes a line
for each question: begin and end (monotonic clock, which all processes share), by how much it was woken late before it,
and what failed. The lateness is what the machine does to any process; the server has no part in it.
"""

from __future__ import annotations

import http.client
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from fairness_load.model import NAME

PAUSE_S = 0.005  # between an answer and the next question
LONGEST_S = 3600.0  # that a probe asks, whatever becomes of the process that started it
ANSWER_S = 120.0
STATUS_METHOD = "/tensorflow.serving.ModelService/GetModelStatus"
HEALTH, STATUS = "/v1/health/live", f"/v1/models/{NAME}"
BENCHMARKS = Path(__file__).parent.parent


@dataclass(frozen=True)
class Asked:
    """One question, times in seconds."""

    begin: float
    end: float
    late: float
    error: str

    @property
    def took(self) -> float:
        """Until the answer; endless where there was none."""
        return float("inf") if self.error else self.end - self.begin


class Probe:
    """A client in a process of its own, for a `with` statement; `asked` holds all once it has been left.

    Args:
        kind: `rest` or `grpc`.
        port: of 127.0.0.1.
        folder: where the process leaves its record.
    """

    def __init__(self, kind: str, port: int, folder: Path) -> None:
        self.kind = kind
        self.asked: list[Asked] = []
        self._file = folder / f"asked-{kind}"
        command = [sys.executable, "-m", "fairness_load.probes", kind, str(port), str(self._file)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=BENCHMARKS
        )

    def __enter__(self) -> Probe:
        assert self._process.stdout is not None
        if not self._process.stdout.readline():
            raise RuntimeError(f"the {self.kind} probe got no answer")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._process.communicate(timeout=ANSWER_S + 10)  # ends its standard input
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise
        if self._process.returncode:
            raise RuntimeError(f"the {self.kind} probe ended with {self._process.returncode}")
        lines = self._file.read_text().splitlines()
        for begin, end, late, text in (line.split(" ", 3) for line in lines):
            self.asked.append(Asked(float(begin), float(end), float(late), text))


def during(asked: list[Asked], begin: float, end: float) -> list[Asked]:
    """The questions that were open at any time between two moments."""
    return [one for one in asked if one.end >= begin and one.begin <= end]


def _rest(port: int) -> Callable[[], None]:
    """Asks whether the server lives; one that has no such path is asked for the status of the model."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_S)

    def get(path: str) -> int:
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            response.read()
        except (OSError, http.client.HTTPException):
            connection.close()  # the next question opens another
            raise
        return response.status

    path = HEALTH if get(HEALTH) == 200 else STATUS

    def ask() -> None:
        if (status := get(path)) != 200:
            raise ValueError(f"Expected 200 for {path}. Received: {status}")

    return ask


def _grpc(port: int) -> Callable[[], None]:
    import grpc

    from modelport.wire import messages

    request = messages.GetModelStatusRequest(model_spec=messages.ModelSpec(name=NAME)).SerializeToString()
    call = grpc.insecure_channel(f"127.0.0.1:{port}").unary_unary(STATUS_METHOD)  # bytes in, bytes out

    def ask() -> None:
        call(request, timeout=ANSWER_S, wait_for_ready=True)

    return ask


def _probe(kind: str, port: int, file: Path) -> None:
    ask = {"rest": _rest, "grpc": _grpc}[kind](port)
    ask()
    ended = threading.Event()

    def watch() -> None:
        sys.stdin.read()
        ended.set()

    threading.Thread(target=watch, daemon=True).start()
    print("asking", flush=True)
    lines = []
    stop = time.monotonic() + LONGEST_S
    while not ended.is_set() and (before := time.monotonic()) < stop:
        time.sleep(PAUSE_S)
        begin = time.monotonic()
        error = ""
        try:
            ask()
        except Exception as failure:  # whatever the library raises: the table says it
            error = " ".join(f"{type(failure).__name__}: {failure}".split())[:200]
        lines.append(f"{begin} {time.monotonic()} {begin - before - PAUSE_S} {error}")
    file.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    _probe(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
