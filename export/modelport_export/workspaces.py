"""Temporary folders and processes of a publish, which go with it, however it ends."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Waits for the end of the process that started it, told by the end of its input; then ends what it was told to end, and
# takes the folder away. It is a process of its own in a session of its own: nothing that ends its parent ends it.
_KEEPER = """
import os, shutil, signal, sys
alive = set()
for line in sys.stdin:
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
    """Sees to it that a folder and processes end with this process."""

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
        """End what is held, and take the folder away."""
        assert self._process.stdin is not None  # noqa: S101  # it was asked for
        self._process.stdin.close()
        self._process.wait()

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None  # noqa: S101  # it was asked for
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
    keeper = Keeper(folder)
    try:
        yield folder, keeper
    finally:
        keeper.close()


@contextmanager
def workspace() -> Iterator[Path]:
    """A folder for what is made while publishing."""
    with kept_folder() as (folder, _):
        yield folder
