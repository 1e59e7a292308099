"""A recipe and a dataset to a trained model. `train` reads from top to bottom in the order in which things happen."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any, TextIO

import keras
import tensorflow as tf

from modelport.errors import FailedPrecondition
from modelport_training.beginning import code_changes, data_of, facts_of
from modelport_training.finishing import finish, nothing_lost
from modelport_training.loop import checkpoint
from modelport_training.loop.batches import batches_of
from modelport_training.loop.checkpoint import Standing
from modelport_training.loop.model import built, class_weight, learning_rate
from modelport_training.loop.rehearsal import rehearse
from modelport_training.loop.way import epochs_of
from modelport_training.recipe import Recipe, load_recipe
from modelport_training.reporting.board import Board, profiled
from modelport_training.reporting.progress import Display
from modelport_training.run_folder import RunFolder
from modelport_training.settings import Plan, Settings
from modelport_training.trained_model import TrainedModel
from modelport_training.workers.team import Team, lost_workers, own_folder, share, team, together, told_by_chief

Watch = Callable[[int, Mapping[str, float]], None]
# Callbacks that count epochs: told of those that are done, they come to where they were. Others may write files.
_REMEMBERING = (keras.callbacks.EarlyStopping, keras.callbacks.ReduceLROnPlateau)
_MONITORED = {"val_loss": "validation loss"}


def train(settings: Settings, *, stream: TextIO | None = sys.stdout, watch: Watch | None = None) -> TrainedModel:
    """Train a recipe, epoch by epoch, and write its run folder.

    The weights are a function of the decisive settings, the data, and the machine and library versions: a run that is
    killed and resumed ends with the same bits as one that was not. For that, the global seeds of Python, numpy and
    TensorFlow are set.

    Args:
        settings: what was not set is taken from the recipe.
        stream: where progress is shown; None shows nothing.
        watch: told of each epoch's number and values, once they are on the disk; what it raises ends the training.

    Raises:
        NotFound: no such recipe or dataset.
        Unavailable: the dataset cannot be had.
        AlreadyExists: the folder holds a run, and neither `resume` nor `overwrite` is set.
        FailedPrecondition: the run to resume had other settings, or the loss is not finite.
        InvalidArgument: a setting or the recipe is wrong, or recipe and dataset do not fit.
    """
    crew = team()
    with lost_workers(None if crew is None else crew.place):
        return _train(settings, crew, stream, watch)


def _train(settings: Settings, crew: Team | None, stream: TextIO | None, watch: Watch | None) -> TrainedModel:
    # Recipe, settings, data.
    recipe = load_recipe(settings.recipe)
    plan = settings.plan(recipe)
    dataset = data_of(recipe, plan, settings, crew)
    if recipe.image is None and recipe.inputs is None:
        recipe = dataclasses.replace(recipe, image=dataset.image)
    batches = batches_of(recipe, dataset, plan.batch_size, plan.seed, class_weight(recipe, dataset, plan))
    display = Display(stream, plan.epochs)

    with own_folder(crew, settings.folder(recipe)) as folder, RunFolder(folder).locked():
        # The run: new, to be resumed, or finished already.
        run = RunFolder(folder)
        with together(crew):
            record = run.begin(settings, plan, dataset.fingerprint)
            changes = code_changes(record, recipe, settings)
        if told_by_chief(crew, record is not None and record.finished):
            display.say(f"This run is finished: {settings.folder(recipe)}")
            if crew is not None and not crew.is_chief:
                raise SystemExit(0)  # of a worker, which has nothing to return
            return TrainedModel.load(run.path)
        share(crew, run.checkpoint)

        # The model as it begins, tried once in everything that will be done with it.
        batch = next(iter(batches.epoch(1)))
        with nullcontext() if crew is None else crew.strategy.scope():
            model = built(recipe, dataset, plan, batch, display.say)
        callbacks = list(recipe.callbacks()) if recipe.callbacks else []
        recorded = settings.way if record is None else record.settings.get("way")
        way = rehearse(recipe, model, batches, batch, callbacks, recorded, crew)
        keras.utils.set_random_seed(plan.seed)
        facts = facts_of(recipe, plan, dataset, way, changes)
        run.write_record({"finished": False, **facts})
        display.say(
            f"{recipe.name} on {dataset.name}: {model.count_params():,} parameters; {batches.examples:,} training, "
            f"{batches.validation_examples:,} validation and {batches.test_examples:,} held-out examples; {run.path}"
        )
        display.say(way.told)

        # As the checkpoint left it.
        told = keras.callbacks.CallbackList(callbacks, model=model, epochs=plan.epochs)
        told.on_train_begin()
        standing = Standing()
        if run.checkpoint.exists():
            standing = checkpoint.restore(run.checkpoint, model)
            for callback in (one for one in callbacks if isinstance(one, _REMEMBERING)):
                for number, measured in enumerate(standing.history):
                    callback.on_epoch_end(
                        number, {name: measured[name] for name in measured if name != "learning_rate"}
                    )
            standing = checkpoint.restore(run.checkpoint, model)
        if settings.resume:
            display.say(f"Resumed after epoch {standing.epoch}." if standing.epoch else "Nothing to resume; started.")
            if record is not None and (before := record.settings.get("workers", 1)) != way.workers:
                display.say(
                    f"It began with {before} workers and goes on with {way.workers}: the last digits may differ."
                )

        # Epoch by epoch; after each, all that the next one depends on is on the disk.
        epochs = epochs_of(way, model, batches, callbacks)
        with Board(run.logs) as board:
            while standing.epoch < plan.epochs and not standing.stale(plan.patience) and not model.stop_training:
                epoch = standing.epoch + 1
                told.on_epoch_begin(epoch - 1)
                began = time.monotonic()
                # The second epoch: in the first one functions are made.
                watched = settings.profile and epoch == min(2, plan.epochs)
                with _told_by_tensorflow(crew), display.bar(epoch, batches.steps) as done:
                    with profiled(run.logs, watched):
                        trained = epochs.train(epoch, done)
                    speed = batches.examples / (time.monotonic() - began)
                    measured = {**trained, **{f"val_{name}": value for name, value in epochs.validate().items()}}
                told.on_epoch_end(epoch - 1, dict(measured))
                measured |= learning_rate(model)
                standing.add(measured, model.variables, recipe.monitor, recipe.mode)
                board.write(epoch, measured)
                if settings.histograms:
                    board.weights(epoch, model.trainable_variables)
                checkpoint.save(run.checkpoint, model, standing)
                display.epoch(epoch, measured, speed)
                if watch is not None:
                    watch(epoch, measured)
        told.on_train_end()
        if standing.epoch < plan.epochs:
            display.say(_why_stopped(standing, plan, recipe))

        with nothing_lost(run, standing):
            _as_best(model, standing)
            metrics = epochs.evaluate(batches.held_out)
            finish(recipe, dataset, batches, model, standing, run, {**facts, "metrics": metrics}, display)
        return TrainedModel.load(run.path)


def _as_best(model: Any, standing: Standing) -> None:
    """Give the model the weights of its best epoch."""
    for variable, value in zip(model.variables, standing.best, strict=True):
        variable.assign(value)


@contextmanager
def _told_by_tensorflow(crew: Team | None) -> Iterator[None]:
    """What fails within an epoch costs that epoch: a file that is gone or changed, memory that is not there."""
    try:
        yield
    except tf.errors.OpError as error:
        if crew is not None:
            raise  # a worker that is gone is told as such
        text = " ".join(error.message.split())[:300]
        raise FailedPrecondition(
            f"TensorFlow cannot go on ({type(error).__name__}: {text}). The epochs before this one are in the run "
            "folder: put it right and go on with --resume."
        ) from error


def _why_stopped(standing: Standing, plan: Plan, recipe: Recipe) -> str:
    if standing.stale(plan.patience):
        return f"Stopped early: no better {_MONITORED.get(recipe.monitor, recipe.monitor)} in {plan.patience} epochs."
    return "Stopped early: a callback of the recipe asked for it."
