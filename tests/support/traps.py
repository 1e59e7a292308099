"""What stops a program that reads whatever it finds under a name: files that are none, or that have no end."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path


def _sparse(path: Path) -> None:
    path.touch()
    os.truncate(path, 2**40)


# Kind → how to put one somewhere, and what is to be said of it.
TRAPS: Mapping[str, tuple[Callable[[Path], None], str]] = {
    "FIFO": (os.mkfifo, "a FIFO"),
    "device": (lambda path: path.symlink_to("/dev/zero"), "a link to '/dev/zero', a character device"),
    "gigabyte": (_sparse, "1,099,511,627,776 bytes"),
}
