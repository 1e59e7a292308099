"""What a run begins with: its data, the code that it was begun with, what is known of it before."""

from __future__ import annotations

import dataclasses
import platform
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from modelport.errors import FailedPrecondition
from modelport.run_record import RunRecord
from modelport_training import lineage, own_data
from modelport_training.datasets import Dataset, load_dataset
from modelport_training.datasets.dataset import as_dataset
from modelport_training.loop.rehearsal import explained
from modelport_training.loop.way import Way
from modelport_training.recipe import Recipe
from modelport_training.run_folder import RunFolder
from modelport_training.settings import Plan, Settings
from modelport_training.workers.team import Team, told_by_chief


def data_of(recipe: Recipe, plan: Plan, settings: Settings, crew: Team | None) -> Dataset:
    """The data; whether those of one's own stream is decided once, by the run's beginning and by the chief."""
    if recipe.load_data is not None:
        with explained(recipe, "to load its data"):
            dataset = as_dataset(recipe.load_data())
    elif settings.data is None:
        dataset = load_dataset(plan.dataset)
    else:
        options = settings.data_options()
        record = RunFolder(settings.folder(recipe)).read_record() if settings.resume else None
        if record is not None and options.streamed is None:
            options = dataclasses.replace(options, streamed=record.dataset.get("streamed"))
        dataset = own_data.load(options)
        streamed = told_by_chief(crew, dataset.facts()["streamed"])
        if streamed != dataset.facts()["streamed"]:
            dataset = own_data.load(dataclasses.replace(options, streamed=streamed))
    if settings.fingerprint and dataset.fingerprint != settings.fingerprint:
        raise FailedPrecondition(
            f"Expected the data of the run that is made once more, of the fingerprint {settings.fingerprint[:16]}…. "
            f"Received: {dataset.name!r}, which was changed since ({dataset.fingerprint[:16]}…)."
        )
    if crew is not None and crew.tell(dataset.fingerprint.encode()) != dataset.fingerprint.encode():
        raise FailedPrecondition(
            "Expected the data that the chief has. Received: others; each worker must have a copy."
        )
    return dataset


def code_changes(record: RunRecord | None, recipe: Recipe, settings: Settings) -> list[Mapping[str, Any]]:
    """What became of the recipe's code since the run began.

    Raises:
        FailedPrecondition: it was changed, and nobody says why.
    """
    if record is None or record.finished:
        return []
    now = lineage.code(recipe.module)
    changed = lineage.changed(record.code, now) if record.code else []
    if not changed:
        return list(record.changed_code)
    if settings.changed_code is None:
        raise FailedPrecondition(
            f"Expected the code that the run began with, so that it ends as it would have. Received: changed since in "
            f'{", ".join(changed)}. Undo the change; or go on all the same: --changed-code "why", which is recorded.'
        )
    return [*record.changed_code, {"why": settings.changed_code, "modules": changed, "code": now}]


def facts_of(
    recipe: Recipe, plan: Plan, dataset: Dataset, way: Way, changes: Sequence[Mapping[str, Any]]
) -> Mapping[str, Any]:
    """What is known before the training."""
    return {
        "recipe": recipe.module,
        "dataset": dataset.facts(),
        "settings": {**dataclasses.asdict(plan), "way": way.name, "generator": way.generator, "workers": way.workers},
        "seed": plan.seed,
        "labels": list(dataset.class_names),
        "image": None if recipe.image is None else recipe.image.to_dict(),
        "versions": {
            "python": platform.python_version(),
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
        },
        "code": lineage.code(recipe.module),
        "revision": lineage.revision(Path.cwd()),
        "command": sys.argv,
        "environment": lineage.environment(),
        "changed_code": list(changes),
    }
