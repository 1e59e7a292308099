"""Where a training stands after an epoch, in one file: all that the next epoch depends on.

These are the model's variables (weights, and the states of its random number generators), the optimizer's variables,
the history, and the best weights so far. The file replaces the last one by a rename, so a kill leaves either.
"""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from modelport import atomic
from modelport.errors import DataLoss, FailedPrecondition
from modelport_training.datasets.examples import Array, flatten


@dataclass
class Standing:
    """The epochs that are done: what was measured, and the model's variables after the best one."""

    history: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0  # counted from 1; the one with the lowest validation loss
    best: list[Array] = field(default_factory=list)

    @property
    def epoch(self) -> int:
        """How many epochs are done."""
        return len(self.history)

    def stale(self, patience: int) -> bool:
        """Whether so many epochs brought no better validation loss; never when `patience` is 0."""
        return 0 < patience <= self.epoch - self.best_epoch

    def add(self, measured: dict[str, float], variables: Sequence[Any], monitor: str, mode: str) -> None:
        """Count one more epoch.

        Args:
            measured: by name.
            variables: the model's.
            monitor: the name that decides which epoch is best; where it is not measured, the last one is.
            mode: "min" where less of it is better, else "max".

        Raises:
            FailedPrecondition: its loss is not finite, or a weight is not.
        """
        broken = {name: value for name, value in measured.items() if name.endswith("loss") and not math.isfinite(value)}
        if broken:
            told = ", ".join(f"{name} {value}" for name, value in broken.items())
            raise FailedPrecondition(
                f"Expected a finite loss. Received: {told} in epoch {self.epoch + 1}. Lower the learning rate, and "
                "look at inputs and targets for values that are none."
            )
        if torn := [one.path for one in variables if not np.isfinite(_numbers(one.numpy())).all()]:
            raise FailedPrecondition(
                f"Expected finite weights after epoch {self.epoch + 1}. Received: NaN or infinity in "
                f"{', '.join(torn[:3])}, though the loss is a number: a layer hides it. Look for a division by 0 (the "
                "mean of nothing), or lower the learning rate."
            )
        self.history.append(measured)
        best = self.history[self.best_epoch - 1].get(monitor) if self.best_epoch else None
        now = measured.get(monitor)
        if best is None or now is None or (now < best if mode == "min" else now > best):
            self.best_epoch = self.epoch
            self.best = [variable.numpy() for variable in variables]


def save(path: Path, model: Any, standing: Standing) -> None:
    """Write the checkpoint of a compiled model whose optimizer is built."""
    arrays: dict[str, Array] = {}
    for kind, values in variables(model).items():
        arrays |= {f"{kind}.{index}": variable.numpy() for index, variable in enumerate(values)}
    arrays |= {f"best.{index}": value for index, value in enumerate(standing.best)}
    # numpy stores bfloat16 and its kind as bytes without a name.
    foreign = {name: array.dtype.name for name, array in arrays.items() if array.dtype.kind == "V"}
    told = {"history": standing.history, "best_epoch": standing.best_epoch, "dtypes": foreign}
    arrays = {name: array.view(f"u{array.itemsize}") if name in foreign else array for name, array in arrays.items()}
    arrays["standing"] = np.array(json.dumps(told))
    atomic.write(path, lambda made: np.savez(made, allow_pickle=False, **arrays))


def restore(path: Path, model: Any) -> Standing:
    """Bring a model and its optimizer to where `save` saw them.

    Raises:
        DataLoss: the file cannot be read.
        FailedPrecondition: it belongs to a model of another architecture.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = dict(archive)
        told = json.loads(str(arrays["standing"]))
        for name, dtype in told.pop("dtypes", {}).items():
            arrays[name] = arrays[name].view(tf.as_dtype(dtype).as_numpy_dtype)
        standing = Standing(**told)
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise DataLoss(f"Expected a checkpoint in {str(path)!r}; it cannot be read: {error}") from error
    own = variables(model)
    expected = {f"{kind}.{index}": value for kind, values in own.items() for index, value in enumerate(values)}
    expected |= {f"best.{index}": value for index, value in enumerate(own["model"])}
    shapes = {name: tuple(value.shape) for name, value in expected.items()}
    found = {name: value.shape for name, value in arrays.items() if name != "standing"}
    if shapes != found:
        raise FailedPrecondition(
            f"Expected the checkpoint {str(path)!r} to fit the model that the recipe builds; it holds variables of "
            "other shapes, so the recipe was changed since. Undo the change, or start anew with overwrite."
        )
    for kind, values in own.items():
        for index, variable in enumerate(values):
            variable.assign(arrays[f"{kind}.{index}"])
    standing.best = [arrays[f"best.{index}"] for index in range(len(own["model"]))]
    return standing


def _numbers(value: Array) -> Array:
    return value if value.dtype.kind in "fc" else value.astype(np.float32) if value.dtype.kind == "V" else np.zeros(0)


def variables(model: Any) -> dict[str, Sequence[Any]]:
    """The variables that the next epoch depends on: the model's, and those of its optimizers."""
    optimizers = {id(one): one for one in [model.optimizer, *own_optimizers(model)] if one is not None}
    return {"model": model.variables, "optimizer": [value for one in optimizers.values() for value in one.variables]}


def own_optimizers(model: Any) -> list[Any]:
    """Those of a `train_step` of its own, which Keras does not count among the model's variables."""
    return [one for value in vars(model).values() for one in flatten(value) if isinstance(one, keras.Optimizer)]
