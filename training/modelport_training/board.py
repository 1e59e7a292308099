"""The history for TensorBoard, under the names that Keras' own callback gives, so that boards show both together."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import tensorflow as tf


class Board:
    """Event files in `train` and `validation` below a folder; a context manager."""

    def __init__(self, folder: Path) -> None:
        self._writers = {
            prefix: tf.summary.create_file_writer(str(folder / name))
            for prefix, name in (("", "train"), ("val_", "validation"))
        }

    def __enter__(self) -> Board:
        return self

    def __exit__(self, *raised: object) -> None:
        for writer in self._writers.values():
            writer.close()

    def write(self, epoch: int, measured: Mapping[str, float]) -> None:
        """Write an epoch's values at once, so that a kill loses none that the checkpoint has."""
        for name, value in measured.items():
            prefix = "val_" if name.startswith("val_") else ""
            with self._writers[prefix].as_default():
                tf.summary.scalar(f"epoch_{name.removeprefix('val_')}", value, step=epoch)
        for writer in self._writers.values():
            writer.flush()
