"""What was probably meant by a base path that is none."""

from __future__ import annotations

import os
import re
from pathlib import Path

_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
_FILE_URI = "file://"


def hints(base_path: str) -> list[str]:
    """Lines for a person, each true of the path as it was given; none where there is nothing to say."""
    if not base_path or base_path.startswith("/"):
        return []
    if base_path.startswith("~"):
        expanded = os.path.expanduser(base_path)  # noqa: PTH111  # Path.expanduser raises for an unknown user
        meant = f" Perhaps --model_base_path={expanded} is meant." if expanded.startswith("/") else ""
        return [f"The shell expands '~' only at the beginning of a word, not behind '='.{meant}"]
    if base_path.startswith(_FILE_URI + "/"):
        return [f"Perhaps --model_base_path={base_path.removeprefix(_FILE_URI)} is meant."]
    if "://" in base_path or _DRIVE.match(base_path):
        return []
    return [f"Perhaps --model_base_path={Path(base_path).absolute()} is meant."]
