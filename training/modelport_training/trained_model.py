"""A trained model with what is known about it: the bridge from training to export."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras

from modelport.errors import DataLoss, FailedPrecondition, NotFound
from modelport.run_record import is_target, read_npz
from modelport_export.images import ImageInput
from modelport_training.datasets.examples import Array
from modelport_training.recipe import load_recipe
from modelport_training.run_folder import RunFolder

if TYPE_CHECKING:
    from modelport.staging import Published


@dataclass(frozen=True)
class TrainedModel:
    """What a training gives.

    Args:
        model: the Keras model, with the weights of its best epoch; compiled where its loss and metrics can be loaded.
        folder: the run folder, where all of this lies too.
        metrics: on the held-out split, by Keras' names.
        history: one mapping an epoch, of training and (`val_`) validation values.
        labels: the class names.
        image: how raw images become the model's input; None for a model that takes its raw inputs by name.
        samples: raw held-out inputs by name, `image` uint8 (n, 28, 28) of an image classifier; n is 64 or less.
        targets: their `label`, or `target_*` by output.
        data: name, source, licence, fingerprint and sizes of the dataset.
        settings: those that decided the weights.
    """

    model: Any
    folder: Path
    metrics: Mapping[str, float]
    history: Sequence[Mapping[str, float]]
    labels: tuple[str, ...]
    image: ImageInput | None
    samples: Mapping[str, Array]
    targets: Mapping[str, Array]
    data: Mapping[str, Any]
    settings: Mapping[str, Any]

    @classmethod
    def load(cls, folder: Path) -> TrainedModel:
        """Read a finished run.

        Raises:
            FailedPrecondition: there is no finished run in the folder.
            DataLoss: one of its files is missing or cannot be read.
        """
        run = RunFolder(folder)
        record = run.read_record()
        if record is None or not record.finished:
            state = "an unfinished run; resume it" if record else "no run"
            raise FailedPrecondition(f"Expected a finished run in {str(folder)!r}. Received: {state}.")
        if record.recipe is None:
            raise FailedPrecondition(f"Expected the run of a recipe in {str(folder)!r}. Received: a run without one.")
        load_recipe(record.recipe)  # registers its own layers
        try:
            model = _loaded(run.model)
            arrays = read_npz(run.samples)
        except (OSError, ValueError, NotFound) as error:
            raise DataLoss(f"Expected the files of a finished run in {str(folder)!r}: {error}") from error
        return cls(
            model=model,
            folder=folder,
            metrics=record.metrics,
            history=record.history,
            labels=tuple(record.labels or ()),
            image=ImageInput.from_dict(record.image) if record.image else None,
            samples={name: array for name, array in arrays.items() if not is_target(name)},
            targets={name: array for name, array in arrays.items() if is_target(name)},
            data=record.dataset,
            settings=record.settings,
        )

    def publish(self, repository: Path, name: str, **options: Any) -> Published:
        """Export the model, prove it, and publish it as the next version of `name`.

        Args:
            repository: the model repository.
            name: of the model in it.
            **options: further keywords of `modelport_export.publish`.
        """
        from modelport_export import publish

        return publish(
            self.model,
            name=name,
            repository=repository,
            samples=self.samples,
            image=self.image,
            labels=self.labels if self.image is not None else None,  # only an image classifier answers with labels
            metrics=self.metrics,
            data=self.data,
            training=self.settings,
            history=self.history,
            **{"evaluation": self._evaluation(), **options},
        )

    def _evaluation(self) -> Mapping[str, Array] | None:
        """The held-out rows of the run; None of a run of an earlier modelport."""
        path = RunFolder(self.folder).evaluation
        return read_npz(path) if path.exists() else None


def _loaded(path: Path) -> Any:
    """The model, compiled; not where its loss or its metrics are functions that nobody registered."""
    with warnings.catch_warnings(action="ignore"):  # of optimizers that are not loaded
        try:
            return keras.saving.load_model(path)
        except (TypeError, ValueError):
            return keras.saving.load_model(path, compile=False)
