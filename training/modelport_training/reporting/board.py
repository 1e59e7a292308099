"""The history for TensorBoard, under the names that Keras' own callback gives, so that boards show both together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tensorflow as tf

from modelport_training.datasets.examples import Array


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

    def weights(self, epoch: int, variables: Sequence[Any]) -> None:
        """Write the distribution of each weight after an epoch."""
        with self._writers[""].as_default():
            for variable in variables:
                tf.summary.histogram(variable.path, tf.cast(variable.value, tf.float32), step=epoch)


def show_mistakes(folder: Path, images: Array, words: Sequence[str]) -> None:
    """Write the worst mistakes on held-out examples as pictures.

    Args:
        folder: TensorBoard's.
        images: uint8 (N, H, W) or (N, H, W, C).
        words: what each is, and what was told.
    """
    shown = images[..., None] if images.ndim == 3 else images
    with tf.summary.create_file_writer(str(folder / "held_out")).as_default():
        tf.summary.image("worst mistakes", shown, step=0, max_outputs=len(shown), description="; ".join(words))


@contextmanager
def profiled(folder: Path, wanted: bool) -> Iterator[None]:
    """Let TensorFlow note down what takes its time, for TensorBoard's page of profiles."""
    if not wanted:
        yield
        return
    tf.profiler.experimental.start(str(folder))
    try:
        yield
    finally:
        tf.profiler.experimental.stop()
