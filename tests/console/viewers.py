"""Many viewers of one console: `python -m tests.console.viewers --minutes 5` says what they cost the server.

The server's own time on the processor is taken while nobody looks, while one does, and while all do; and the console's.
"""

from __future__ import annotations

import argparse
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.console.conftest import MONITORING, ConsoleProcess
from tests.support.serve_process import ServeProcess


class Viewer(threading.Thread):
    """An open page: reads the stream of all models until it is closed, and counts what comes."""

    def __init__(self, console: ConsoleProcess) -> None:
        super().__init__(daemon=True)
        host, _, port = console.url.removeprefix("http://").partition(":")
        self._socket = socket.create_connection((host, int(port)), 60)  # a stream of no news has a word each 15 s
        lines = ("GET /live HTTP/1.1", f"Host: {host}:{port}", f"Authorization: Bearer {console.token}", "", "")
        self._socket.sendall("\r\n".join(lines).encode())
        first = self._socket.recv(65536)
        assert b" 200 OK" in first.partition(b"\r\n")[0]
        self.events = first.count(b"data: ")

    def run(self) -> None:
        """Read to the end."""
        while data := self._socket.recv(65536):
            self.events += data.count(b"data: ")

    def close(self) -> None:
        """Go away."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self.join(20)
        self._socket.close()


@contextmanager
def viewers(console: ConsoleProcess, count: int) -> Iterator[Sequence[Viewer]]:
    """So many open pages."""
    opened = [Viewer(console) for _ in range(count)]
    for one in opened:
        one.start()
    try:
        yield opened
    finally:
        for one in opened:
            one.close()


def seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--viewers", type=int, default=20)
    options = parser.parse_args()
    from tests.support import models

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        models.affine(root / "files")
        shutil.copytree(root / "files", root / "models/affine/1")
        process = ServeProcess(
            root / "serve.log", str(root / "models"), "--port=auto", "--rest_api_port=auto",
            f"--monitoring_config_file={MONITORING}",
        )  # fmt: skip
        console = ConsoleProcess(
            root / "console.log",
            str(root / "models"),
            "--server",
            process.address("gRPC"),
            "--rest",
            process.address("REST"),
        )
        try:
            for count in (0, 1, options.viewers):
                measure(process, console, count, options.minutes * 60)
        finally:
            console.end()
            process.end()


def measure(process: ServeProcess, console: ConsoleProcess, count: int, length: float) -> None:
    watched = [psutil.Process(one.process.pid) for one in (process, console)]
    with viewers(console, count) as opened:
        before = [seconds(one) for one in watched]
        time.sleep(length)
        shares = [(seconds(one) - old) / length for one, old in zip(watched, before, strict=True)]
        memory = watched[1].memory_info().rss / 1e6
        events = sum(one.events for one in opened)
    print(
        f"{count:>3} viewers for {length:.0f} s: the server {shares[0]:.2%} of a core, the console {shares[1]:.2%} and "
        f"{memory:.0f} MB; {events} events"
    )


if __name__ == "__main__":
    main()
