"""Files that are there whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from modelport.errors import from_os_error


def write_aside(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` make the file under a hidden name beside `path`, flush it, and rename it into place.

    Raises:
        PermissionDenied, ResourceExhausted, …: the disk refuses; `path` is as it was.
    """
    aside = path.with_name(f".{path.name}")  # the suffix stays: Keras and numpy look at it
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(aside)
        with aside.open("rb") as file:
            os.fsync(file.fileno())
        aside.replace(path)
    except OSError as error:
        raise from_os_error(error, "write", path) from error
