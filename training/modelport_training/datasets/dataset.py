"""A set of examples with a fixed split, and the facts that identify it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from modelport.errors import InvalidArgument
from modelport_export.images import ImageInput
from modelport_training.datasets.examples import Array, Examples, Stream, Tree, as_split, flatten

__all__ = ["Array", "Dataset", "Examples", "Stream", "Tree"]

_LOOK_AT = 1024  # rows at a time, when all are looked at


class Dataset:
    """Training and held-out examples, and validation examples where somebody chose them.

    Args:
        name: as given to `--dataset`.
        source: where the bytes came from.
        licence: under which they may be used.
        class_names: the label of each class, by its number; empty where the targets are no classes.
        train_inputs: array, or dict, list or tuple of arrays, one row an example: images uint8 (N, H, W) or
            (N, H, W, C) with values 0..255 for a recipe with IMAGE, whatever its model takes for any other.
        train_targets: likewise; of a classifier whole numbers (N,), 0..classes-1.
        test_inputs: as `train_inputs`; never trained on, looked at once when the training is over.
        test_targets: as `train_targets`.

    Raises:
        InvalidArgument: the arrays do not belong together.
    """

    def __init__(
        self,
        name: str,
        source: str,
        licence: str,
        class_names: Sequence[str],
        train_inputs: Any,
        train_targets: Any,
        test_inputs: Any,
        test_targets: Any,
    ) -> None:
        train, test = Examples(train_inputs, train_targets), Examples(test_inputs, test_targets)
        self._set(name, source, licence, class_names, train, None, test)

    @classmethod
    def of(
        cls,
        train: Any,
        test: Any,
        validation: Any = None,
        *,
        class_names: Sequence[str] = (),
        name: str = "own",
        source: str = "the recipe's load_data",
        licence: str = "not known",
        fingerprint: str = "",
    ) -> Dataset:
        """Of splits: each is (inputs, targets), (inputs, targets, weights), or a tf.data.Dataset of batches.

        Args:
            train: training examples.
            test: held-out examples.
            validation: decide when to stop; None for every tenth of the training examples.
            class_names: see `Dataset`.
            name: see `Dataset`.
            source: see `Dataset`.
            licence: see `Dataset`.
            fingerprint: of the data where it is known; else it is reckoned.

        Raises:
            InvalidArgument: the splits do not belong together.
        """
        self = cls.__new__(cls)
        chosen = None if validation is None else as_split(validation, "validation")
        self._set(name, source, licence, class_names, as_split(train, "training"), chosen, as_split(test, "test"))
        if fingerprint:
            self.__dict__["fingerprint"] = fingerprint  # in the place of what the property would reckon
        return self

    def _set(
        self,
        name: str,
        source: str,
        licence: str,
        class_names: Sequence[str],
        train: Examples | Stream,
        validation: Examples | Stream | None,
        test: Examples | Stream,
    ) -> None:
        self.name, self.source, self.licence = name, source, licence
        self.class_names = tuple(class_names)
        self.train, self.validation, self.test = train, validation, test
        self.image: ImageInput | None = None  # how raw images become a model's input, where the data are images
        for split, examples in (("train", train), ("validation", validation), ("test", test)):
            if isinstance(examples, Examples):
                self._check(split, examples)
        if isinstance(train, Examples) and isinstance(test, Examples):
            shapes = [[leaf.shape[1:] for leaf in flatten(one.inputs)] for one in (train, test)]
            if shapes[0] != shapes[1]:
                raise InvalidArgument(
                    f"Expected examples of one shape in both splits of {name!r}. Received: {shapes[0]} and {shapes[1]}."
                )

    def _check(self, split: str, examples: Examples) -> None:
        if len(examples) == 0:
            raise InvalidArgument(f"Expected N > 0 examples in the {split} split of {self.name!r}. Received: none.")
        labels = examples.targets
        are_classes = isinstance(labels, np.ndarray) and labels.ndim == 1 and labels.dtype.kind in "iu"
        if self.class_names and are_classes and (labels.min() < 0 or labels.max() >= len(self.class_names)):
            raise InvalidArgument(
                f"Expected labels 0..{len(self.class_names) - 1} in the {split} split of {self.name!r}, one for "
                f"each class name. Received: {labels.min()}..{labels.max()}."
            )

    @property
    def classes(self) -> int:
        """How many classes the targets have: one for each name; without names by the highest number; 0 for none."""
        if self.class_names or isinstance(self.train, Stream):
            return len(self.class_names)
        labels = self.train.targets
        is_number = isinstance(labels, np.ndarray) and labels.ndim == 1 and labels.dtype.kind in "iu"
        return int(labels.max()) + 1 if is_number and labels.min() >= 0 else 0

    def training_inputs(self) -> Iterator[Tree]:
        """The inputs of the training split, in arrays of some rows: what a recipe learns a vocabulary from."""
        return (inputs for inputs, _ in self._training())

    def training_targets(self) -> Iterator[Tree]:
        """The targets of the training split, likewise."""
        return (targets for _, targets in self._training())

    def _training(self) -> Iterator[tuple[Tree, Tree]]:
        if isinstance(self.train, Examples):
            for begin in range(0, len(self.train), _LOOK_AT):
                some = self.train.take(slice(begin, begin + _LOOK_AT))
                yield some.inputs, some.targets
        else:
            for inputs, targets, *_ in self.train.make().batch(_LOOK_AT).as_numpy_iterator():
                yield inputs, targets

    @cached_property
    def fingerprint(self) -> str:
        """The sha256 over names, dtypes, shapes and bytes of all splits: equal data, equal fingerprint."""
        digest = hashlib.sha256()
        for split in (self.train, self.test, self.validation):
            if split is not None:
                split.update(digest)
        return digest.hexdigest()

    def facts(self) -> Mapping[str, Any]:
        """What a later reader of a run or a version needs to know about its data; fit for JSON."""
        return {
            "name": self.name,
            "source": self.source,
            "licence": self.licence,
            "fingerprint": self.fingerprint,
            "train_examples": len(self.train),
            "test_examples": len(self.test),
            "streamed": isinstance(self.train, Stream),
        }


def as_dataset(given: Any) -> Dataset:
    """What a recipe's `load_data()` returned: a Dataset, or (training, test), or (training, validation, test).

    Raises:
        InvalidArgument: it is none of these.
    """
    if isinstance(given, Dataset):
        return given
    if isinstance(given, Mapping) and {"train", "test"} <= set(given) <= {"train", "validation", "test"}:
        return Dataset.of(given["train"], given["test"], given.get("validation"))
    if isinstance(given, tuple) and len(given) in (2, 3):
        train, *validation, test = given
        return Dataset.of(train, test, *validation)
    raise InvalidArgument(
        "Expected load_data() to return a Dataset, (training, test), (training, validation, test), or a dict of "
        f"'train', 'test' and perhaps 'validation'. Received: {type(given).__name__}."
    )
