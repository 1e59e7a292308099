"""Temporary folders and processes of a publish, which go with it, however it ends."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_END_S = 5.0  # for the keeper to end
# Waits for the end of the process that started it, told by the end of its input; then ends what it was told to end, and
# takes the folder away. It is a process of its own in a session of its own: nothing that ends its parent ends it.
_KEEPER = """
import os, shutil, signal, sys
alive = set()
for line in sys.stdin:
    if line[0] == ".":
        sys.exit()
    sign, number = line[0], int(line[1:])
    (alive.add if sign == "+" else alive.discard)(number)
for number in alive:
    try:
        os.killpg(number, signal.SIGKILL)
    except OSError:
        pass
shutil.rmtree(sys.argv[1], ignore_errors=True)
"""


class Keeper:
    """Sees to it that a folder and processes end with this process, if it cannot do so itself."""

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _KEEPER, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            text=True,
        )

    def hold(self, group: int) -> None:
        """End a process group with this process."""
        self._tell(f"+{group}")

    def release(self, group: int) -> None:
        """Its processes have ended."""
        self._tell(f"-{group}")

    def close(self) -> None:
        """Nothing is to be kept any more."""
        self._tell(".")
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()

    def _tell(self, line: str) -> None:
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):  # somebody killed it: this process still cleans up itself
                self._process.stdin.write(line + "\n")
                self._process.stdin.flush()


@contextmanager
def kept_folder(prefix: str = "modelport-", within: str | None = None) -> Iterator[tuple[Path, Keeper]]:
    """A temporary folder that is gone afterwards, also where this process is killed.

    Args:
        prefix: of its name.
        within: the folder to make it in; None for the usual one.
    """
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=within))
    try:
        keeper = Keeper(folder)
        try:
            yield folder, keeper
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            keeper.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def workspace() -> Iterator[Path]:
    """A folder for what is made while publishing."""
    with kept_folder() as (folder, _):
        yield folder
