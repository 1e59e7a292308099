"""A server under measurement: a process tree that is started, watched and ended."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

import psutil

from serving_peers.generator import BadRun

_END_S = 10.0
_CHILD_END_S = 1.0
_POLL_S = 0.1


def free_port() -> int:
    """A port of 127.0.0.1 that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class ServerTree:
    """A server's process and all its children, for a `with` statement, which ends them.

    Args:
        command: what to run.
        log: file that takes what they print.
        environment: the variables they see.
    """

    def __init__(self, command: Sequence[str], log: Path, environment: Mapping[str, str]) -> None:
        self._log = log
        with log.open("w") as file:
            self._root = psutil.Popen(
                command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=dict(environment), cwd=log.parent
            )
        self._known: set[psutil.Process] = set()  # children outlive a parent that died; psutil sees through reused pids

    def __enter__(self) -> ServerTree:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        processes = self._alive()
        with contextlib.suppress(psutil.NoSuchProcess):  # first the parent: it may end the others in its own way
            self._root.terminate()
        psutil.wait_procs([self._root], timeout=_END_S)
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.terminate()
        _, stubborn = psutil.wait_procs(processes, timeout=_CHILD_END_S)
        for process in stubborn:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(stubborn, timeout=_END_S)

    @property
    def pid(self) -> int:
        """Of the process that was started."""
        return int(self._root.pid)

    def cpu_s(self) -> float:
        """Seconds of processor time, user and system, that the tree has used."""
        total = 0.0
        for process in self._alive():
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += times.user + times.system
        return total

    def memory_bytes(self) -> int:
        """Resident memory: of the largest process all, of the others what each has for itself.

        A page that they share counts once, and whole, even where another server's processes share it too.
        """
        sizes = []
        for process in self._alive():
            with contextlib.suppress(psutil.NoSuchProcess):
                memory = process.memory_full_info()
                sizes.append((memory.rss, memory.uss))
        sizes.sort()
        return sizes[-1][0] + sum(own for _, own in sizes[:-1]) if sizes else 0

    def wait_until(self, ready: Callable[[], object], seconds: float) -> None:
        """Wait for a server that starts.

        Args:
            ready: asks it something; an OSError or ValueError means not yet.
            seconds: the longest wait.

        Raises:
            BadRun: the server ended, or did not answer in time.
        """
        deadline = time.monotonic() + seconds
        reason = "no attempt"
        while time.monotonic() < deadline:
            if self._root.poll() is not None:
                raise BadRun(f"the server ended with {self._root.returncode}: {self._last_words()}")
            try:
                ready()
            except (OSError, ValueError) as error:
                reason = str(error)
            else:
                return
            time.sleep(_POLL_S)
        raise BadRun(f"Expected an answer within {seconds:.0f} s. Received: {reason[-200:]} ({self._last_words()})")

    def _alive(self) -> list[psutil.Process]:
        with contextlib.suppress(psutil.NoSuchProcess):
            self._known.update([self._root, *self._root.children(recursive=True)])
        self._known = {process for process in self._known if process.is_running()}
        return list(self._known)

    def _last_words(self) -> str:
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return " / ".join(line.strip() for line in lines[-3:])[-300:]
