"""Where a version was made: versions of what ran, and the revision of the code."""

from __future__ import annotations

import platform
import shutil
import subprocess

import keras
import tensorflow as tf

import modelport

_GIT_S = 5.0  # that git may take


def versions() -> dict[str, str]:
    """Of Python, TensorFlow, Keras and modelport."""
    return {
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "modelport": modelport.__version__,
    }


def revision() -> str | None:
    """The commit of the working folder, if it is in a git checkout."""
    git = shutil.which("git")
    if git is None:
        return None
    try:
        done = subprocess.run([git, "rev-parse", "HEAD"], capture_output=True, text=True, timeout=_GIT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None
