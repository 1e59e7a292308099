"""A recipe and a dataset to a trained model. `train` reads from top to bottom in the order in which things happen."""

from __future__ import annotations

import dataclasses
import hashlib
import platform
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, TextIO

import keras
import numpy as np
import tensorflow as tf

from modelport import atomic, evaluation_rows
from modelport.errors import FailedPrecondition, ModelportError
from modelport.run_record import RunRecord
from modelport_training import lineage, own_data
from modelport_training.datasets import Dataset, load_dataset
from modelport_training.datasets.dataset import as_dataset
from modelport_training.datasets.examples import Array
from modelport_training.loop import checkpoint
from modelport_training.loop.batches import Batches, batches_of
from modelport_training.loop.checkpoint import Standing
from modelport_training.loop.model import built, class_weight, learning_rate
from modelport_training.loop.rehearsal import explained, rehearse
from modelport_training.loop.sampled import named, output_names, storable
from modelport_training.loop.way import Way, epochs_of
from modelport_training.recipe import Recipe, load_recipe
from modelport_training.reporting import learning_curve, run_report
from modelport_training.reporting.board import Board, profiled, show_mistakes
from modelport_training.reporting.progress import Display
from modelport_training.run_folder import RunFolder
from modelport_training.settings import Plan, Settings
from modelport_training.trained_model import TrainedModel
from modelport_training.workers.team import Team, lost_workers, own_folder, share, team, together, told_by_chief

SAMPLES = 64  # held-out examples that go along, to prove and to warm up what is exported
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
    dataset = _dataset(recipe, plan, settings, crew)
    if recipe.image is None and recipe.inputs is None:
        recipe = dataclasses.replace(recipe, image=dataset.image)
    batches = batches_of(recipe, dataset, plan.batch_size, plan.seed, class_weight(recipe, dataset, plan))
    display = Display(stream, plan.epochs)

    with own_folder(crew, settings.folder(recipe)) as folder, RunFolder(folder).locked():
        # The run: new, to be resumed, or finished already.
        run = RunFolder(folder)
        with together(crew):
            record = run.begin(settings, plan, dataset.fingerprint)
            changes = _code_changes(record, recipe, settings)
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
        facts = _facts(recipe, plan, dataset, way, changes)
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

        with _nothing_lost(run, standing):
            _as_best(model, standing)
            metrics = epochs.evaluate(batches.held_out)
            _finish(recipe, dataset, batches, model, standing, run, {**facts, "metrics": metrics}, display)
        return TrainedModel.load(run.path)


def _as_best(model: Any, standing: Standing) -> None:
    """Give the model the weights of its best epoch."""
    for variable, value in zip(model.variables, standing.best, strict=True):
        variable.assign(value)


def _dataset(recipe: Recipe, plan: Plan, settings: Settings, crew: Team | None) -> Dataset:
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


def _code_changes(record: RunRecord | None, recipe: Recipe, settings: Settings) -> list[Mapping[str, Any]]:
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


def _finish(
    recipe: Recipe,
    dataset: Dataset,
    batches: Batches,
    model: Any,
    standing: Standing,
    run: RunFolder,
    facts: Mapping[str, Any],
    display: Display,
) -> None:
    """What is left behind; the record comes last and says that all of it is there."""
    display.say(
        f"Held out, as of epoch {standing.best_epoch}: "
        + ", ".join(f"{name} {value:.4f}" for name, value in facts["metrics"].items())
    )
    samples = storable(named(recipe, model, batches.rows(SAMPLES)))
    atomic.write(run.samples, lambda made: np.savez_compressed(made, allow_pickle=False, **samples))
    held_out = batches.rows(None)
    if (some := evaluation_rows.choice(named(recipe, model, held_out))[0]) is not None:
        held_out = held_out.take(some)
    rows = storable(named(recipe, model, held_out))
    atomic.write(run.evaluation, lambda made: np.savez_compressed(made, allow_pickle=False, **rows))
    title = f"{recipe.name} on {dataset.name}"
    atomic.write(run.curve, lambda made: learning_curve.draw(made, title, standing.history, standing.best_epoch))
    atomic.write(run.model, model.save)
    record = {
        "finished": True,
        **facts,
        "best_epoch": standing.best_epoch,
        "history": standing.history,
        "samples": {name: hashlib.sha256(array.tobytes()).hexdigest() for name, array in samples.items()},
    }
    scored = run_report.found(rows, output_names(model), batches.answers(model, held_out))
    atomic.write_text(run.report, run_report.render(record, rows, scored))
    if recipe.image is not None:
        _show_mistakes(run, rows, scored, dataset.class_names)
    run.write_record(record)
    shutil.rmtree(run.checkpoint.parent)


def _name(names: Sequence[str], number: float) -> str:
    return names[int(number)] if int(number) < len(names) else str(int(number))


def _show_mistakes(run: RunFolder, rows: Mapping[str, Array], scored: run_report.Found, names: Sequence[str]) -> None:
    """The worst mistakes of an image classifier, for TensorBoard."""
    for _, details, _ in scored.values():
        shown = [one for one in details["mistakes"] if "truth" in one]
        if shown:
            words = [f"{_name(names, one['truth'])}, told {_name(names, one['told'])}" for one in shown]
            show_mistakes(run.logs, rows["image"][[int(one["row"]) for one in shown]], words)


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


@contextmanager
def _nothing_lost(run: RunFolder, standing: Standing) -> Iterator[None]:
    """What goes wrong after the last epoch costs none: the checkpoint is there."""
    try:
        yield
    except Exception as error:
        text = error.message if isinstance(error, ModelportError) else f"{type(error).__name__}: {error}"
        raise FailedPrecondition(
            f"{text} Nothing is lost: the weights of all {standing.epoch} epochs are in {str(run.checkpoint)!r}. Put "
            "it right and go on with --resume."
        ) from error


def _why_stopped(standing: Standing, plan: Plan, recipe: Recipe) -> str:
    if standing.stale(plan.patience):
        return f"Stopped early: no better {_MONITORED.get(recipe.monitor, recipe.monitor)} in {plan.patience} epochs."
    return "Stopped early: a callback of the recipe asked for it."


def _facts(
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
