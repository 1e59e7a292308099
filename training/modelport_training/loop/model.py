"""A recipe's model, built and ready to be trained."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from modelport.errors import FailedPrecondition, InvalidArgument, ModelportError
from modelport_training import task
from modelport_training.datasets.dataset import Dataset
from modelport_training.datasets.examples import Examples
from modelport_training.recipe import Recipe
from modelport_training.settings import Plan


def built(recipe: Recipe, dataset: Dataset, plan: Plan, batch: Any, say: Callable[[str], None]) -> Any:
    """Build a recipe's model, with all its variables, as the seed wants it.

    Args:
        recipe: whose it is.
        dataset: what it is trained on.
        plan: seed, precision, learning rate.
        batch: (inputs, targets), with weights as a third: what it will be fed.
        say: told what the recipe does not say.

    Raises:
        FailedPrecondition: the recipe's code raises, or the model does not take the batch.
        InvalidArgument: the recipe returns no model.
    """
    keras.utils.set_random_seed(plan.seed)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(plan.precision or before)
    try:
        model = _build(recipe, dataset, plan.options)
        inputs, *_ = batch
        if not model.built or not model.weights:
            _called(model, recipe, inputs)
        if not model.compiled:
            task.compiled(model, dataset)
    finally:
        keras.config.set_dtype_policy(before)
    if plan.learning_rate is not None and model.optimizer is not None:
        _set_learning_rate(model, plan.learning_rate, say)
    if model.optimizer is not None:
        model.optimizer.build(model.trainable_variables)
    return model


def _build(recipe: Recipe, dataset: Dataset, options: Mapping[str, Any]) -> Any:
    _check_options(recipe, options)
    what = "build_for(dataset)" if recipe.build is None else f"build({dataset.classes})"
    try:
        model = (
            recipe.build_for(dataset, **options) if recipe.build is None else recipe.build(dataset.classes, **options)
        )
    except ModelportError:
        raise
    except Exception as error:  # the recipe's own code
        raise FailedPrecondition(
            f"Expected {what} of the recipe {recipe.module!r} to return a model; it raised "
            f"{type(error).__name__}: {error}"
        ) from error
    if not isinstance(model, keras.Model):
        raise InvalidArgument(
            f"Expected a keras.Model from {what} of the recipe {recipe.module!r}. Received: {type(model).__name__}."
        )
    return model


def _check_options(recipe: Recipe, options: Mapping[str, Any]) -> None:
    """Refuse an option (`--set`) that the recipe's function does not take."""
    build = recipe.build or recipe.build_for
    parameters = list(inspect.signature(build).parameters.values())
    if any(one.kind is one.VAR_KEYWORD for one in parameters):
        return
    known = [one.name for one in parameters[1:]]
    for name in options:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            raise InvalidArgument(
                f"Expected --set with an option of the recipe {recipe.module!r} ({', '.join(known) or 'it has none'}). "
                f"Received: {name!r}." + (f" Did you mean {near[0]!r}?" if near else "")
            )


def _called(model: Any, recipe: Recipe, inputs: Any) -> None:
    """Call a model that knows its variables only once it has seen a batch."""
    try:
        if isinstance(model, keras.Sequential) and hasattr(inputs, "shape"):
            model.build((None, *inputs.shape[1:]))  # a call would make the batch's size its own
        else:
            model(inputs)
    except Exception as error:  # the recipe's own code
        given = keras.tree.map_structure(lambda tensor: f"{tensor.dtype.name} {tuple(tensor.shape)}", inputs)
        raise FailedPrecondition(
            f"Expected the model of the recipe {recipe.module!r} to take its inputs, {given}. It raised "
            f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"
        ) from error


def _set_learning_rate(model: Any, learning_rate: float, say: Callable[[str], None]) -> None:
    optimizer = model.optimizer
    inner = getattr(optimizer, "inner_optimizer", optimizer)  # mixed_float16 wraps it
    config = inner.get_config()
    if isinstance(config.get("learning_rate"), dict):
        say(f"The recipe's learning-rate schedule is replaced by the constant {learning_rate}, as asked for.")
        constant = type(inner).from_config({**config, "learning_rate": learning_rate})
        if inner is optimizer:
            model.optimizer = constant
        else:
            optimizer.inner_optimizer = constant
    else:
        inner.learning_rate = learning_rate


def learning_rate(model: Any) -> dict[str, float]:
    """That of the next step, by its name; empty where the model has no optimizer."""
    return {} if model.optimizer is None else {"learning_rate": float(np.asarray(model.optimizer.learning_rate))}


def class_weight(recipe: Recipe, dataset: Dataset, plan: Plan) -> Mapping[int, float] | None:
    """How much the examples of each class count; None where all count the same.

    Raises:
        InvalidArgument: the targets are no classes.
    """
    if plan.class_weight is None:
        return recipe.class_weight or None
    if not isinstance(dataset.train, Examples) or not dataset.classes:
        raise InvalidArgument(
            "Expected whole numbers (N,) in memory as targets, because class_weight is 'balanced'. Received others; "
            "a recipe can say CLASS_WEIGHT = {class: weight}."
        )
    counts = np.bincount(dataset.train.targets, minlength=dataset.classes)
    return {label: counts.sum() / (len(counts) * count) for label, count in enumerate(counts.tolist()) if count}
