"""A recipe's model, built and ready to be trained."""

from __future__ import annotations

import difflib
import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from modelport.errors import FailedPrecondition, InvalidArgument, ModelportError
from modelport_training.datasets.dataset import Dataset
from modelport_training.datasets.examples import Examples
from modelport_training.recipe import Recipe
from modelport_training.settings import Plan

_KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


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
            _compile(model, recipe, dataset, inputs, say)
    finally:
        keras.config.set_dtype_policy(before)
    if plan.learning_rate is not None and model.optimizer is not None:
        _set_learning_rate(model, plan.learning_rate, say)
    if model.optimizer is not None:
        model.optimizer.build(model.trainable_variables)
    return model


def _build(recipe: Recipe, dataset: Dataset, options: Mapping[str, Any]) -> Any:
    check_options(recipe, options)
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


def check_options(recipe: Recipe, options: Mapping[str, Any]) -> None:
    """Refuse an option (`--set`) that the recipe's function does not take."""
    build = recipe.build or recipe.build_for
    parameters = list(inspect.signature(build).parameters.values())
    if any(one.kind is one.VAR_KEYWORD for one in parameters):
        return
    known = [one.name for one in parameters[1:]]
    kinds = {name: kind for name, kind in typing.get_type_hints(build).items() if kind in (bool, int, float, str)}
    for name, value in options.items():
        kind = kinds.get(name)
        if kind is not None and type(value) is not kind and not (kind is float and type(value) is int):
            raise InvalidArgument(
                f"Expected --set {name} as {_KINDS[kind]}, for the recipe {recipe.module!r}. Received: {value!r}."
            )
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            raise InvalidArgument(
                f"Expected --set with an option of the recipe {recipe.module!r} ({', '.join(known) or 'it has none'}). "
                f"Received: {name!r}." + (f" Did you mean {near[0]!r}?" if near else "")
            )


def _called(model: Any, recipe: Recipe, inputs: Any) -> Any:
    """What a model answers; some know their variables only once they have seen a batch."""
    try:
        if isinstance(model, keras.Sequential) and hasattr(inputs, "shape") and not model.built:
            model.build((None, *inputs.shape[1:]))  # a call would make the batch's size its own
        return model(inputs, training=False)
    except Exception as error:  # the recipe's own code
        given = keras.tree.map_structure(lambda tensor: f"{tensor.dtype.name} {tuple(tensor.shape)}", inputs)
        raise FailedPrecondition(
            f"Expected the model of the recipe {recipe.module!r} to take its inputs, {given}. It raised "
            f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"
        ) from error


def _compile(model: Any, recipe: Recipe, dataset: Dataset, inputs: Any, say: Callable[[str], None]) -> None:
    """Compile a model that its recipe did not compile, by what it answers.

    Raises:
        InvalidArgument: its answers do not fit the targets, or those are text.
    """
    outputs = keras.tree.flatten(_called(model, recipe, inputs))
    if len(outputs) != 1:
        raise InvalidArgument(
            f"Expected the recipe {recipe.module!r} to compile its model, which has {len(outputs)} outputs."
        )
    told = np.asarray(outputs[0]).astype(np.float64)
    size, classes = int(told.shape[-1]) if told.ndim > 1 else 1, dataset.classes
    if classes and size >= classes and size > 1:
        are_probabilities = bool((told >= 0).all() and np.allclose(told.sum(axis=-1), 1, atol=1e-2))
        loss: Any = keras.losses.SparseCategoricalCrossentropy(from_logits=not are_probabilities)
        model.compile("adam", loss, metrics=["accuracy"])
        if not are_probabilities:
            say("The recipe does not compile its model: trained with Adam as a classifier, whose answers are logits.")
        return
    if classes > 2 or (classes == 2 and size > 1):
        raise InvalidArgument(
            f"Expected an answer for each of {classes} classes of the model of {recipe.module!r}, or a recipe that "
            f"compiles it. Received: {size} outputs."
        )
    targets = next(iter(dataset.training_targets()))
    if isinstance(targets, np.ndarray) and targets.dtype == object:
        raise InvalidArgument(
            f"Expected numbers as targets of {dataset.name!r}. Received: text, {targets.ravel()[0]!r}."
        )
    if classes == 2 and bool(((told >= 0) & (told <= 1)).all()):
        model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
        say("The recipe does not compile its model: trained with Adam for one probability, of yes.")
        return
    model.compile("adam", "mean_squared_error", metrics=["mean_absolute_error"])
    say("The recipe does not compile its model: trained with Adam for the mean squared error.")


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
