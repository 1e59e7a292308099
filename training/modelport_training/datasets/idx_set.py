"""A published set of four idx files: taken from the first source that has it, checked by digest, kept in the cache."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from modelport import atomic
from modelport.errors import DataLoss, ModelportError, Unavailable
from modelport_training.datasets import idx
from modelport_training.datasets.dataset import Dataset

TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"
FILES = (TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS)

Files = Mapping[str, bytes]  # the four, by name, uncompressed


@dataclass(frozen=True)
class Source:
    """A place that may have the files; `read` raises a ModelportError that says why it has not."""

    name: str
    read: Callable[[], Files]


@dataclass(frozen=True)
class IdxSet:
    """What is known of a set before it is here.

    Args:
        name: as given to `--dataset`; also the folder in the cache.
        md5: of the four uncompressed files, by file name.
        sources: tried in this order after the cache.
    """

    name: str
    licence: str
    class_names: tuple[str, ...]
    md5: Mapping[str, str]
    sources: Sequence[Source]

    def load(self) -> Dataset:
        """Load the set.

        Raises:
            Unavailable: no source has it; the message says what each one answered and what can be had instead.
        """
        answers = []
        for source in (Source("the cache", self._read_cache), *self.sources):
            try:
                files = source.read()
                self.check(files)
            except ModelportError as error:
                answers.append(f"  {source.name}: {error.message}")
                continue
            if source.name != "the cache":
                self._write_cache(files)
            return self._dataset(files, source.name)
        raise Unavailable(
            f"Expected one of {len(answers)} sources to have the dataset {self.name!r}; none has:\n"
            + "\n".join(answers)
            + "\nWithout a network there is '--dataset digits', which ships inside scikit-learn."
        )

    def check(self, files: Files) -> None:
        """Compare the files with their published digests.

        Raises:
            DataLoss: a file is missing or not the published one; the message names it and both digests.
        """
        for name, expected in self.md5.items():
            if name not in files:
                raise DataLoss(f"Expected the file {name!r}. Received: {sorted(files)}.")
            received = hashlib.md5(files[name], usedforsecurity=False).hexdigest()
            if received != expected:
                raise DataLoss(f"Expected the md5 {expected} of {name!r}. Received: {received}.")

    @property
    def cache(self) -> Path:
        """The folder where a fetched set is kept: XDG_CACHE_HOME or ~/.cache, then modelport/NAME."""
        base = os.environ.get("XDG_CACHE_HOME")
        return (Path(base) if base else Path.home() / ".cache") / "modelport" / self.name

    def _read_cache(self) -> Files:
        try:
            return {name: (self.cache / name).read_bytes() for name in FILES}
        except OSError as error:
            raise Unavailable(f"there is no {error.filename!r}.") from error

    def _write_cache(self, files: Files) -> None:
        # A cache that cannot be written costs a download the next time, not this training.
        with contextlib.suppress(ModelportError):
            for name in FILES:
                atomic.write_bytes(self.cache / name, files[name])

    def _dataset(self, files: Files, source: str) -> Dataset:
        arrays = {name: idx.decode(files[name], name) for name in FILES}
        return Dataset(
            name=self.name,
            source=f"{self.name} as published, of the known md5 digests, from {source}",
            licence=self.licence,
            class_names=self.class_names,
            train_inputs=arrays[TRAIN_IMAGES],
            train_targets=arrays[TRAIN_LABELS].astype(np.int64),
            test_inputs=arrays[TEST_IMAGES],
            test_targets=arrays[TEST_LABELS].astype(np.int64),
        )
