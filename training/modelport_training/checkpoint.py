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

import numpy as np

from modelport import atomic
from modelport.errors import DataLoss, FailedPrecondition
from modelport_training.datasets.dataset import Array


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

    def add(self, measured: dict[str, float], variables: Sequence[Any]) -> None:
        """Count one more epoch.

        Raises:
            FailedPrecondition: its loss is not finite.
        """
        if not (math.isfinite(measured["loss"]) and math.isfinite(measured["val_loss"])):
            raise FailedPrecondition(
                f"Expected a finite loss. Received: {measured['loss']} in epoch {self.epoch + 1}, and "
                f"{measured['val_loss']} in its validation. Lower the learning rate."
            )
        self.history.append(measured)
        if self.best_epoch == 0 or measured["val_loss"] < self.history[self.best_epoch - 1]["val_loss"]:
            self.best_epoch = self.epoch
            self.best = [variable.numpy() for variable in variables]


def save(path: Path, model: Any, standing: Standing) -> None:
    """Write the checkpoint of a compiled model whose optimizer is built."""
    arrays = {"standing": np.array(json.dumps({"history": standing.history, "best_epoch": standing.best_epoch}))}
    for kind, values in _variables(model).items():
        arrays |= {f"{kind}.{index}": variable.numpy() for index, variable in enumerate(values)}
    arrays |= {f"best.{index}": value for index, value in enumerate(standing.best)}
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
        standing = Standing(**json.loads(str(arrays["standing"])))
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise DataLoss(f"Expected a checkpoint in {str(path)!r}; it cannot be read: {error}") from error
    variables = _variables(model)
    expected = {f"{kind}.{index}": value for kind, values in variables.items() for index, value in enumerate(values)}
    expected |= {f"best.{index}": value for index, value in enumerate(variables["model"])}
    shapes = {name: tuple(value.shape) for name, value in expected.items()}
    found = {name: value.shape for name, value in arrays.items() if name != "standing"}
    if shapes != found:
        raise FailedPrecondition(
            f"Expected the checkpoint {str(path)!r} to fit the model that the recipe builds; it holds variables of "
            "other shapes, so the recipe was changed since. Undo the change, or start anew with overwrite."
        )
    for kind, values in variables.items():
        for index, variable in enumerate(values):
            variable.assign(arrays[f"{kind}.{index}"])
    standing.best = [arrays[f"best.{index}"] for index in range(len(variables["model"]))]
    return standing


def _variables(model: Any) -> dict[str, Sequence[Any]]:
    return {"model": model.variables, "optimizer": model.optimizer.variables}
