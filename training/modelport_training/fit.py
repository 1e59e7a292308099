"""A recipe and a dataset to a trained model. `train` reads from top to bottom in the order in which things happen."""

from __future__ import annotations

import dataclasses
import hashlib
import platform
import shutil
import sys
import time
from collections.abc import Mapping
from typing import Any, TextIO

import keras
import numpy as np
import tensorflow as tf

from modelport import atomic, evaluation_rows
from modelport.errors import FailedPrecondition, InvalidArgument
from modelport_training import checkpoint, learning_curve
from modelport_training.board import Board
from modelport_training.checkpoint import Standing
from modelport_training.datasets import Dataset, load_dataset
from modelport_training.datasets.dataset import Array
from modelport_training.pipeline import Pipeline, examples
from modelport_training.progress import Display
from modelport_training.recipe import Recipe, load_recipe
from modelport_training.run_folder import RunFolder
from modelport_training.settings import Plan, Settings
from modelport_training.trained_model import TrainedModel

SAMPLES = 64  # held-out examples that go along, to prove and to warm up what is exported
STEPS_PER_EXECUTION = 64  # in one call of the compiled function: fewer ways back into Python


def train(settings: Settings, *, stream: TextIO | None = sys.stdout) -> TrainedModel:
    """Train a recipe, epoch by epoch, and write its run folder.

    The weights are a function of the decisive settings, the data, and the machine and library versions: a run that is
    killed and resumed ends with the same bits as one that was not. For that, the global seeds of Python, numpy and
    TensorFlow are set.

    Args:
        settings: what was not set is taken from the recipe.
        stream: where progress is shown; None shows nothing.

    Raises:
        NotFound: no such recipe or dataset.
        Unavailable: the dataset cannot be had.
        AlreadyExists: the folder holds a run, and neither `resume` nor `overwrite` is set.
        FailedPrecondition: the run to resume had other settings, or the loss is not finite.
        InvalidArgument: a setting or the recipe is wrong, or recipe and dataset do not fit.
    """
    # Recipe, settings, data.
    recipe = load_recipe(settings.recipe)
    plan = settings.plan(recipe)
    dataset = recipe.load_data() if recipe.load_data else load_dataset(plan.dataset)
    batches = Pipeline(recipe, dataset, plan.batch_size, plan.seed)
    run = RunFolder(settings.folder(recipe))
    display = Display(stream, plan.epochs)

    with run.locked():
        # The run: new, to be resumed, or finished already.
        record = run.begin(settings, plan, dataset.fingerprint)
        if record is not None and record.finished:
            display.say(f"This run is finished: {run.path}")
            return TrainedModel.load(run.path)
        facts = _facts(recipe, plan, dataset)
        run.write_record({"finished": False, **facts})

        # The model, as it begins or as the checkpoint left it.
        keras.utils.set_random_seed(plan.seed)
        model = _compiled(recipe, len(dataset.class_names), plan.learning_rate)
        standing = checkpoint.restore(run.checkpoint, model) if run.checkpoint.exists() else Standing()
        display.say(
            f"{recipe.name} on {dataset.name}: {model.count_params():,} parameters; {batches.examples:,} training, "
            f"{len(dataset.train_images) - batches.examples:,} validation and {len(dataset.test_images):,} held-out "
            f"examples; {run.path}"
        )
        if settings.resume:
            display.say(f"Resumed after epoch {standing.epoch}." if standing.epoch else "Nothing to resume; started.")

        # Epoch by epoch; after each, all that the next one depends on is on the disk.
        with Board(run.logs) as board:
            while standing.epoch < plan.epochs and not standing.stale(plan.patience):
                epoch = standing.epoch + 1
                began = time.monotonic()
                with display.bar(epoch, batches.steps) as callbacks:
                    fitted = model.fit(batches.epoch(epoch), shuffle=False, callbacks=callbacks, verbose=0)
                speed = batches.examples / (time.monotonic() - began)
                validated = model.evaluate(batches.validation, return_dict=True, verbose=0)
                measured = {name: float(values[-1]) for name, values in fitted.history.items()}
                measured |= {f"val_{name}": float(value) for name, value in validated.items()}
                standing.add(measured, model.variables)
                board.write(epoch, measured)
                checkpoint.save(run.checkpoint, model, standing)
                display.epoch(epoch, measured, speed)
        if standing.epoch < plan.epochs:
            display.say(f"Stopped early: no better validation loss in {plan.patience} epochs.")

        # The best epoch's weights, and the one look at the held-out examples.
        for variable, value in zip(model.variables, standing.best, strict=True):
            variable.assign(value)
        metrics = {
            name: float(value) for name, value in model.evaluate(batches.held_out, return_dict=True, verbose=0).items()
        }
        display.say(
            f"Held out, as of epoch {standing.best_epoch}: "
            + ", ".join(f"{name} {value:.4f}" for name, value in metrics.items())
        )

        # What is left behind; the record comes last and says that all of it is there.
        samples = _held_out(recipe, dataset, model, SAMPLES)
        atomic.write(run.samples, lambda made: np.savez_compressed(made, allow_pickle=False, **samples))
        rows, _ = evaluation_rows.bounded(_held_out(recipe, dataset, model, None))
        atomic.write(run.evaluation, lambda made: np.savez_compressed(made, allow_pickle=False, **rows))
        title = f"{recipe.name} on {dataset.name}"
        atomic.write(run.curve, lambda made: learning_curve.draw(made, title, standing.history, standing.best_epoch))
        atomic.write(run.model, model.save)
        run.write_record(
            {
                "finished": True,
                **facts,
                "metrics": metrics,
                "best_epoch": standing.best_epoch,
                "history": standing.history,
                "samples": {name: hashlib.sha256(array.tobytes()).hexdigest() for name, array in samples.items()},
            }
        )
        shutil.rmtree(run.checkpoint.parent)
    return TrainedModel.load(run.path)


def _compiled(recipe: Recipe, classes: int, learning_rate: float | None) -> Any:
    """The recipe's model, ready to be trained."""
    try:
        model = recipe.build(classes)
    except Exception as error:  # the recipe's own code
        raise FailedPrecondition(
            f"Expected build({classes}) of the recipe {recipe.module!r} to return a model; it raised "
            f"{type(error).__name__}: {error}"
        ) from error
    if not isinstance(model, keras.Model):
        raise InvalidArgument(
            f"Expected a keras.Model from build({classes}) of the recipe {recipe.module!r}. "
            f"Received: {type(model).__name__}."
        )
    if not model.compiled:
        model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    if learning_rate is not None:
        model.optimizer.learning_rate = learning_rate
    model.steps_per_execution = STEPS_PER_EXECUTION
    model.optimizer.build(model.trainable_variables)
    return model


def _facts(recipe: Recipe, plan: Plan, dataset: Dataset) -> Mapping[str, Any]:
    """What is known before the training."""
    return {
        "recipe": recipe.module,
        "dataset": dataset.facts(),
        "settings": dataclasses.asdict(plan),
        "seed": plan.seed,
        "labels": list(dataset.class_names),
        "image": None if recipe.image is None else recipe.image.to_dict(),
        "versions": {
            "python": platform.python_version(),
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
        },
    }


def _held_out(recipe: Recipe, dataset: Dataset, model: Any, count: int | None) -> dict[str, Array]:
    """The first held-out examples, or all of them, raw: inputs by name, then `label` or `target_*`."""
    inputs, targets = examples(recipe, dataset.test_images[:count], dataset.test_labels[:count])
    name = "image" if recipe.image else model.inputs[0].name
    named = dict(inputs) if isinstance(inputs, Mapping) else {name: inputs}
    if isinstance(targets, Mapping):
        return named | {f"target_{output}": array for output, array in targets.items()}
    return named | {"label": targets}
