"""Many versions of a tiny model, each of which tells its number: `x float[?] -> y = x / 2 + version`.

Run as a script it writes them: `versions.py <folder> <count>` makes `<folder>/1` … `<folder>/<count>`.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

NAME = "numbered"
INPUT, OUTPUT = "x", "y"
SCALE = 0.5


def write(folder: Path, count: int) -> None:
    """Write the versions in a process of its own, so that TensorFlow is none of ours."""
    command = [sys.executable, __file__, str(folder), str(count)]
    subprocess.run(command, check=True, capture_output=True, timeout=60 + count)


def _save(folder: str, count: int) -> None:
    import tensorflow as tf

    module = tf.Module()
    module.version = tf.Variable(0.0)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name=INPUT)])
    def call(x: Any) -> dict[str, Any]:
        return {OUTPUT: SCALE * x + module.version}

    for version in range(1, count + 1):
        module.version.assign(float(version))
        tf.saved_model.save(module, f"{folder}/{version}", signatures={"serving_default": call})


if __name__ == "__main__":
    _save(sys.argv[1], int(sys.argv[2]))
