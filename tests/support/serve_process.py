"""`modelport serve` as a person starts it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path


class ServeProcess:
    """`modelport serve` in a process of its own; `output` is what it has printed so far, stderr included.

    Args:
        log: where its output goes.
        flags: its command line.
        before: what a shell does first: `ulimit -n 256`.
        environment: is added to that of the tests.
        folder: where it is started; by default where the tests are.
        pass_fds: descriptors of the tests that it has, too.
    """

    def __init__(
        self,
        log: Path,
        *flags: str,
        before: str = "",
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
        pass_fds: Sequence[int] = (),
    ) -> None:
        self.log = log
        shell = ["bash", "-c", f'{before} && exec "$0" "$@"'] if before else []
        with log.open("w") as file:
            self.process = subprocess.Popen(
                [*shell, sys.executable, "-m", "modelport", "serve", *flags],
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
                cwd=folder,
                pass_fds=pass_fds,
            )

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")

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
