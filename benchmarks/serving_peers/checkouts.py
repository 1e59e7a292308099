"""Which modelport a process runs: that of the checkout that holds this file, or of one that it is held against."""

from __future__ import annotations

import os
from pathlib import Path

HERE = Path(__file__).resolve().parents[2]

_PARTS = (".", "training", "export", "serving", "client")  # folders of a checkout that hold its packages
_QUIET = {"TF_CPP_MIN_LOG_LEVEL": "2", "BENTOML_DO_NOT_TRACK": "True"}


def environment(checkout: Path | None = None) -> dict[str, str]:
    """The variables of a server: TensorFlow quiet, nobody phoning home.

    Args:
        checkout: whose packages it imports, whatever is installed; None for none of ours.
    """
    others = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return others | _QUIET | ({"PYTHONPATH": python_path(checkout)} if checkout is not None else {})


def python_path(checkout: Path) -> str:
    """PYTHONPATH for the packages of a checkout."""
    return os.pathsep.join(str((checkout / part).resolve()) for part in _PARTS)
