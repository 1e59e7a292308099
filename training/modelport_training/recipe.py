"""What a recipe is, and how one is found by name.

A recipe is a module that defines

    build(classes) -> keras.Model     of any kind; one that is not compiled is compiled with Adam, as a classifier where
                                      the targets are classes, else for the mean squared error
    build_for(dataset) -> keras.Model    in its place, for a model that depends on the data: on a vocabulary, a mean
    IMAGE = ImageInput(...)           of an image classifier: how raw uint8 images become the model's input
    inputs(x), targets(y)             optional: whole arrays of the dataset to what the model takes and ought to answer:
                                      arrays, or dicts, lists or tuples of arrays
    load_data()                       optional: data of its own, see `as_dataset`; `--dataset` and `--data` are not used
    callbacks() -> list               optional: further keras.callbacks.Callback
    CLASS_WEIGHT = {0: 1.0, 1: 5.0}   optional: how much the examples of each class count
    MONITOR = "val_auc"               optional: what decides which epoch is best (val_loss)
    MODE = "max"                      optional: that more of it is better ("min")
    EPOCHS, BATCH_SIZE, LEARNING_RATE   optional: its default settings (else 20, 32, the optimizer's own)

To be resumed exactly, random layers need Keras' own seeds (`keras.random.SeedGenerator`, as Dropout has).

A built-in recipe is named by its module in `modelport_training.recipes`, any other by its dotted module name, which is
looked for where Python looks and in the current folder.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from modelport.errors import FailedPrecondition, InvalidArgument, NotFound
from modelport_export.images import ImageInput
from modelport_training import recipes
from modelport_training.datasets.examples import Tree

DEFAULT_MONITOR = "val_loss"


@dataclass(frozen=True)
class Recipe:
    """A recipe's module, read and checked."""

    module: str
    build: Callable[[int], Any] | None
    build_for: Callable[[Any], Any]  # of a Dataset, where there is no `build`
    image: ImageInput | None
    inputs: Callable[[Tree], Tree] | None
    targets: Callable[[Tree], Tree] | None
    load_data: Callable[[], Any] | None
    callbacks: Callable[[], Sequence[Any]] | None
    class_weight: Mapping[int, float] | None
    monitor: str
    mode: str
    epochs: int
    batch_size: int
    learning_rate: float | None  # None: that of the model's own optimizer

    @property
    def name(self) -> str:
        """The last part of the module's name."""
        return self.module.rpartition(".")[2]


def names() -> list[str]:
    """The built-in recipes, without importing any."""
    return sorted(module.name for module in pkgutil.iter_modules(recipes.__path__))


def load_recipe(name: str) -> Recipe:
    """Find and check a recipe.

    Args:
        name: a built-in recipe, or the dotted name of a module.

    Raises:
        NotFound: there is no such recipe; the nearest built-in one is named.
        FailedPrecondition: the module cannot be imported; the error that it raised is told.
        InvalidArgument: the module lacks something or defines it wrongly.
    """
    return _checked(_import(name))


def _import(name: str) -> ModuleType:
    built_in = name in names()
    full = f"{recipes.__name__}.{name}" if built_in else name
    if not built_in:
        if not all(part.isidentifier() for part in name.split(".")):
            raise NotFound(_unknown(name))
        # The `modelport` command starts with its own folder on the path; `python -m` has the current one.
        here = str(Path.cwd())
        if here not in sys.path:
            sys.path.append(here)
    try:
        return importlib.import_module(full)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if full == missing or full.startswith(f"{missing}."):
            raise NotFound(_unknown(name)) from error
        raise FailedPrecondition(
            f"Expected the recipe {name!r} to be importable; it imports {missing!r}, which is not installed."
        ) from error
    except Exception as error:  # a module may raise anything
        raise FailedPrecondition(
            f"Expected the recipe {name!r} to be importable; importing it raised {type(error).__name__}: {error}"
        ) from error


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, names(), 1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return (
        f"Expected a built-in recipe ({', '.join(names())}) or the dotted name of a module on Python's path or in the "
        f"current folder. Received: {name!r}.{hint}"
    )


def _checked(module: ModuleType) -> Recipe:
    def read(name: str, fits: Callable[[Any], bool], expected: str) -> Any:
        value = getattr(module, name, None)
        if not fits(value):
            raise InvalidArgument(
                f"Expected the recipe {module.__name__!r} to define {name!r} as {expected}. Received: {value!r}."
            )
        return value

    def function(value: object) -> bool:
        return value is None or callable(value)

    def count(value: object) -> bool:
        return value is None or (type(value) is int and value > 0)

    def weights(value: object) -> bool:
        return value is None or (
            isinstance(value, Mapping) and all(type(key) is int and weight >= 0 for key, weight in value.items())
        )

    image = read("IMAGE", lambda value: value is None or isinstance(value, ImageInput), "an ImageInput")
    inputs = read("inputs", function, "a function of the dataset's inputs")
    if image is not None and inputs is not None:
        raise InvalidArgument(
            f"Expected the recipe {module.__name__!r} to define either 'IMAGE', which says how images become the "
            "model's input, or 'inputs(x)', which gives it. Received: both."
        )
    build = read("build", function, "a function of the number of classes that returns a Keras model")
    build_for = read("build_for", function, "a function of the dataset that returns a Keras model")
    if (build is None) == (build_for is None):
        raise InvalidArgument(
            f"Expected the recipe {module.__name__!r} to define 'build', a function of the number of classes that "
            f"returns a Keras model, or 'build_for', one of the dataset. Received: {'both' if build else 'neither'}."
        )
    return Recipe(
        module=module.__name__,
        build=build,
        build_for=build_for,
        image=image,
        inputs=inputs,
        targets=read("targets", function, "a function of the dataset's targets"),
        load_data=read("load_data", function, "a function that returns the data"),
        callbacks=read("callbacks", function, "a function that returns Keras callbacks"),
        class_weight=read("CLASS_WEIGHT", weights, "a dict of class to weight"),
        monitor=read("MONITOR", lambda value: value is None or isinstance(value, str), "a name") or DEFAULT_MONITOR,
        mode=read("MODE", lambda value: value in (None, "min", "max"), "'min' or 'max'") or "min",
        epochs=read("EPOCHS", count, "a whole number above 0") or 20,
        batch_size=read("BATCH_SIZE", count, "a whole number above 0") or 32,
        learning_rate=read(
            "LEARNING_RATE", lambda value: value is None or (type(value) is float and value > 0), "a float above 0"
        ),
    )
