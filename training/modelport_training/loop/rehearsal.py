"""Everything that a run will do, done once before the first epoch: what can go wrong goes wrong now.

One batch is taken, trained on, evaluated; the state is saved as a checkpoint and restored; held-out rows are written;
the model is saved, loaded and asked. Then the model is put back to where it began. On the way it shows which way to
train is the faster one.
"""

from __future__ import annotations

import inspect
import re
import tempfile
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import keras
import numpy as np

from modelport import evaluation_rows
from modelport.errors import FailedPrecondition, InvalidArgument, ModelportError
from modelport_training.datasets.examples import flatten
from modelport_training.loop import checkpoint, sampled
from modelport_training.loop.batches import Batches, InMemory
from modelport_training.loop.checkpoint import Standing
from modelport_training.loop.epochs import Steps, evaluate
from modelport_training.loop.way import SHARED, Way, choose, refused
from modelport_training.recipe import DEFAULT_MONITOR, Recipe
from modelport_training.workers.epochs import TeamEpochs
from modelport_training.workers.team import Team

_ROWS = 64  # held-out rows that are written; and examples that the saved model is asked for


def rehearse(
    recipe: Recipe,
    model: Any,
    batches: Batches,
    batch: Any,
    callbacks: list[Any],
    recorded: str | None,
    crew: Team | None = None,
) -> Way:
    """Try a run, and leave the model as it was.

    Args:
        recipe: whose it is.
        model: built and compiled.
        batches: of its data.
        batch: the first of them.
        callbacks: the recipe's own.
        recorded: the way of the run that is resumed; None to find the faster one.
        crew: those that share each batch; None where this process trains alone.

    Raises:
        FailedPrecondition: something that the run would do fails; the message says what, and with what.
    """
    jit = not model.run_eagerly and _supports_jit(model)
    before = _state(model)
    if getattr(model.optimizer, "use_ema", False):
        raise FailedPrecondition(
            f"Expected an optimizer without use_ema in the recipe {recipe.module!r}: fit would put the average in the "
            "place of the weights after every epoch. Leave it out; the best epoch's weights are kept."
        )
    alone = crew is None and isinstance(batches, InMemory) and not model.run_eagerly
    steps = Steps(model, batches, jit=False) if alone and isinstance(batches, InMemory) else None
    team = None if crew is None else TeamEpochs(model, batches, crew)
    with explained(recipe, "to train on a batch"):
        if team is not None:
            logs = team.one(batch)
        elif steps is not None:
            logs = steps.one(np.arange(min(batches.batch_size, batches.examples)))
        else:
            logs = model.train_on_batch(*batch, return_dict=True)
    with explained(recipe, "to be evaluated"):
        some = batches.validation.take(1)
        found = evaluate(model, some) if team is None else team.evaluate(some)
        names = [f"val_{name}" for name in found]
    if team is not None:
        team.check(next(iter(some)), found["loss"])
    names += list(logs)
    if recipe.monitor not in names and recipe.monitor != DEFAULT_MONITOR:
        raise InvalidArgument(
            f"Expected MONITOR of the recipe {recipe.module!r} as one of {', '.join(sorted(names))}. Received: "
            f"{recipe.monitor!r}."
        )
    with tempfile.TemporaryDirectory(prefix="modelport-rehearsal-") as folder:
        _kept(recipe, model, batches, batch, Path(folder))
    way = (
        Way(SHARED, team=team)
        if team is not None
        else choose(refused(model, batches, batch, callbacks, jit), model, batches, recorded, steps)
    )
    with explained(recipe, "to be put back to where it began"):
        _put_back(model, before)
    return way


def _kept(recipe: Recipe, model: Any, batches: Batches, batch: Any, folder: Path) -> None:
    """What a run leaves on the disk, written and read."""
    with explained(recipe, "to be kept in a checkpoint"):
        checkpoint.save(folder / "newest.npz", model, Standing([{}], 1, [v.numpy() for v in model.variables]))
        checkpoint.restore(folder / "newest.npz", model)
    with explained(recipe, "to have held-out rows that can be written"):
        rows = sampled.named(recipe, model, batches.rows(_ROWS))
        evaluation_rows.bounded(rows)
        np.savez(folder / "rows.npz", allow_pickle=False, **sampled.storable(rows))
    some = keras.tree.map_structure(lambda tensor: tensor[:_ROWS], batch[0])
    with explained(recipe, "to be saved and loaded again"):
        model.save(folder / "model.keras")
        with warnings.catch_warnings(action="ignore"):  # of optimizers, which nothing here loads
            loaded = keras.saving.load_model(folder / "model.keras", compile=False)
        pairs = zip(flatten(model(some, training=False)), flatten(loaded(some, training=False)), strict=True)
        if not all(np.allclose(_floats(a), _floats(b), rtol=1e-3, atol=1e-3, equal_nan=True) for a, b in pairs):
            raise FailedPrecondition(
                "the loaded model answers otherwise than the one that was saved. Do its layers keep all their state, "
                "and does get_config() give all that their constructors take?"
            )


def _supports_jit(model: Any) -> bool:
    """Whether Keras lets XLA have the model; without it afterwards, for `fit` compiles anew for each shape."""
    with warnings.catch_warnings(action="ignore"):  # it says that it does not
        model.jit_compile = True
    supported = bool(model.jit_compile)
    model.jit_compile = False
    return supported


def _state(model: Any) -> dict[int, tuple[Any, Any]]:
    """Each variable with its value."""
    found = [variable for values in checkpoint.variables(model).values() for variable in values]
    return {id(variable): (variable, variable.numpy()) for variable in found}


def _put_back(model: Any, before: dict[int, tuple[Any, Any]]) -> None:
    """Give every variable the value that it had, or would have had."""
    values = dict(before)
    for optimizer in checkpoint.own_optimizers(model):
        # A step of the model's own builds its optimizers: another one of the same kind has their first values.
        built = getattr(optimizer, "_trainable_variables", None)
        if built and not all(id(variable) in before for variable in optimizer.variables):
            other = type(optimizer).from_config(optimizer.get_config())
            other.build(built)
            first = [variable.numpy() for variable in other.variables]
            pairs = zip(optimizer.variables, first, strict=True)
            values |= {id(variable): (variable, value) for variable, value in pairs}
    if appeared := [variable.path for key, (variable, _) in _state(model).items() if key not in values]:
        raise FailedPrecondition(
            f"variables that appear in the first step: {', '.join(appeared)}. Build the layers and optimizers that "
            "have them in build(): layer.build(shape), optimizer.build(variables)"
        )
    for variable, value in values.values():
        variable.assign(value)
    model.reset_metrics()


def _floats(value: Any) -> Any:
    value = np.asarray(value)
    return value.astype(np.float64) if value.dtype.kind in "fV" else value


class explained:  # noqa: N801  # a context, used as a function
    """Tell what the recipe's code raised, and that no epoch was lost for it."""

    def __init__(self, recipe: Recipe, what: str) -> None:
        self._recipe, self._what = recipe, what

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        if error is None or not isinstance(error, Exception):
            return
        plain = re.sub(r"\x1b\[\d*m", "", str(error))  # Keras sets words in bold
        text = error.message if isinstance(error, ModelportError) else " ".join(plain.split())[:700]
        place = "" if isinstance(error, ModelportError) else f" ({_place(error, self._recipe.module)})"
        said = text if isinstance(error, ModelportError) else f"{type(error).__name__}: {text}"
        raise FailedPrecondition(
            f"Expected the recipe {self._recipe.module!r} {self._what}, tried before the first epoch. Received: {said}"
            f"{place}"
        ) from error


def _place(error: BaseException, module: str) -> str:
    """The last line of the recipe's own that the error came through."""
    place = "raised within Keras"
    with suppress(Exception):
        import sys

        file = inspect.getsourcefile(sys.modules[module])
        step = error.__traceback__
        while step is not None:
            if step.tb_frame.f_code.co_filename == file:
                place = f"{file}:{step.tb_lineno}"
            step = step.tb_next
    return place
