"""What a run leaves behind."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from modelport import atomic, evaluation_rows
from modelport.errors import FailedPrecondition, ModelportError
from modelport_training.datasets import Dataset
from modelport_training.datasets.examples import Array
from modelport_training.loop.batches import Batches
from modelport_training.loop.checkpoint import Standing
from modelport_training.loop.sampled import named, output_names, storable
from modelport_training.recipe import Recipe
from modelport_training.reporting import learning_curve, run_report
from modelport_training.reporting.board import show_mistakes
from modelport_training.reporting.progress import Display
from modelport_training.run_folder import RunFolder

SAMPLES = 64  # held-out examples that go along, to prove and to warm up what is exported


def finish(
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
def nothing_lost(run: RunFolder, standing: Standing) -> Iterator[None]:
    """What goes wrong after the last epoch costs none: the checkpoint is there."""
    try:
        yield
    except Exception as error:
        text = error.message if isinstance(error, ModelportError) else f"{type(error).__name__}: {error}"
        raise FailedPrecondition(
            f"{text} Nothing is lost: the weights of all {standing.epoch} epochs are in {str(run.checkpoint)!r}. Put "
            "it right and go on with --resume."
        ) from error
