"""Lines for a file or a terminal, written by a thread: whoever writes one never waits for a disk or a reader."""

from __future__ import annotations

import contextlib
import os
import queue
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from modelport.errors import from_os_error

_MAX_LINES = 10_000  # that may wait to be written, a few megabytes; more are lost, which is told once
_LOOK_S = 1.0  # between two looks whether the file is to be opened anew, while no line comes
_MODE = 0o640  # of a file that is made; one that is there keeps its own


class LineWriter:
    """Appends lines to a file, or to a descriptor of the process, for as long as that takes them.

    Args:
        target: a file, which is made where it is missing, readable by its owner and group; or 1 or 2, the standard
            descriptors.
        complain: told once, in a line, when lines are lost.

    Raises:
        ModelportError: the file cannot be opened.
    """

    def __init__(self, target: Path | int, complain: Callable[[str], None] = lambda line: None) -> None:
        self._target = target
        self._complain = complain
        self._complained = False
        self._descriptor = self._open()
        self._lines: queue.Queue[bytes | None] = queue.Queue(_MAX_LINES)
        self._reopen_due = threading.Event()
        self._thread = threading.Thread(target=self._write_all, name="lines", daemon=True)
        self._thread.start()

    def write(self, line: str) -> None:
        """Add a line, without its end."""
        data = line.encode("utf-8", "backslashreplace") + b"\n"
        try:
            self._lines.put_nowait(data)
        except queue.Full:
            self._lost("more lines come than can be written")

    def reopen(self) -> None:
        """Open the file anew, within a second: a rotation has moved the old one away; for signal handlers too."""
        self._reopen_due.set()

    def close(self, seconds: float) -> None:
        """Write what waits, for so long at most, and close the file."""
        with contextlib.suppress(queue.Full):
            self._lines.put_nowait(None)
        self._thread.join(seconds)

    def _open(self) -> int:
        if isinstance(self._target, int):
            return self._target
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK  # a FIFO without a reader fails
        try:
            descriptor = os.open(self._target, flags, _MODE)
        except OSError as error:
            raise from_os_error(error, "write to", self._target) from error
        os.set_blocking(descriptor, True)
        return descriptor

    def _write_all(self) -> None:
        while (line := self._next()) is not None:
            if self._reopen_due.is_set():
                self._reopen_due.clear()
                self._open_again()
            try:
                while line:
                    line = line[os.write(self._descriptor, line) :]
            except OSError as error:  # a full disk, or a reader that went
                self._lost(os.strerror(error.errno or 0))
        if not isinstance(self._target, int):
            with contextlib.suppress(OSError):
                os.close(self._descriptor)

    def _next(self) -> bytes | None:
        """The next line; an empty one where none has come."""
        try:
            return self._lines.get(timeout=_LOOK_S)
        except queue.Empty:
            return b""

    def _open_again(self) -> None:
        try:
            fresh = self._open()
        except Exception as error:  # the lines go on into the file that was moved away
            self._complain(f"The log {self._target} cannot be opened anew: {error}")
            return
        if not isinstance(self._target, int):
            os.close(self._descriptor)
        self._descriptor = fresh

    def _lost(self, reason: str) -> None:
        if not self._complained:
            self._complained = True
            self._complain(f"Lines for {_name(self._target)} cannot be written, and are lost: {reason}")


def _name(target: Path | int) -> str:
    return (
        {1: "standard output", 2: "standard error"}.get(target, str(target)) if isinstance(target, int) else str(target)
    )


def flush_standard_streams() -> None:
    """Write what Python still holds for the standard streams; a closed, full or broken one is passed over."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()


def fill_standard_descriptors() -> None:
    """Open what was closed of the standard descriptors on nothing: else the next file or socket would get its number,
    and the lines that are meant for a person."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number is this one
