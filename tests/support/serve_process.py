"""`modelport serve` as a person starts it."""

import signal
import subprocess
import sys
import time
from pathlib import Path


class ServeProcess:
    """`modelport serve` in a process of its own; `output` is what it has printed so far, stderr included."""

    def __init__(self, log: Path, *flags: str) -> None:
        self.log = log
        with log.open("w") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "modelport", "serve", *flags], stdout=file, stderr=subprocess.STDOUT
            )

    @property
    def output(self) -> str:
        return self.log.read_text()

    def wait_for_output(self, text: str, timeout: float = 60) -> str:
        deadline = time.monotonic() + timeout
        while text not in self.output:
            assert self.process.poll() is None, f"the server ended with {self.process.returncode}:\n{self.output}"
            assert time.monotonic() < deadline, f"no {text!r} within {timeout} s:\n{self.output}"
            time.sleep(0.05)
        return self.output

    def address(self, kind: str) -> str:
        """The address that the READY lines tell: kind is gRPC or REST."""
        self.wait_for_output("Stop with Ctrl-C.")
        return next(line.split()[1] for line in self.output.splitlines() if line.startswith(kind))

    def end(self, with_signal: int = signal.SIGTERM, timeout: float = 60) -> int:
        if self.process.poll() is None:
            self.process.send_signal(with_signal)
        return self.process.wait(timeout)
