"""A labelled set of images with a fixed split, and the facts that identify it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelport.errors import InvalidArgument

Array = NDArray[Any]


@dataclass(frozen=True)
class Dataset:
    """Training and held-out examples.

    Args:
        name: as given to `--dataset`.
        source: where the bytes came from.
        licence: under which they may be used.
        class_names: the label of each class, by its number.
        train_images: uint8 (N, H, W) or (N, H, W, C), values 0..255; a recipe's own `load_data` may give any array.
        train_labels: int64 (N,), 0..classes-1.
        test_images: as `train_images`; never trained on, looked at once when the training is over.
        test_labels: as `train_labels`.

    Raises:
        InvalidArgument: the arrays do not belong together.
    """

    name: str
    source: str
    licence: str
    class_names: tuple[str, ...]
    train_images: Array
    train_labels: Array
    test_images: Array
    test_labels: Array

    def __post_init__(self) -> None:
        for split, images, labels in (
            ("train", self.train_images, self.train_labels),
            ("test", self.test_images, self.test_labels),
        ):
            if len(images) == 0 or labels.shape != (len(images),) or labels.dtype != np.int64:
                raise InvalidArgument(
                    f"Expected images (N, ...) and int64 labels (N,) with N > 0 in the {split} split of {self.name!r}. "
                    f"Received: images {images.shape} and labels {labels.shape} of {labels.dtype}."
                )
            if labels.min() < 0 or labels.max() >= len(self.class_names):
                raise InvalidArgument(
                    f"Expected labels 0..{len(self.class_names) - 1} in the {split} split of {self.name!r}, one for "
                    f"each class name. Received: {labels.min()}..{labels.max()}."
                )
        if self.train_images.shape[1:] != self.test_images.shape[1:]:
            raise InvalidArgument(
                f"Expected examples of one shape in both splits of {self.name!r}. Received: "
                f"{self.train_images.shape[1:]} and {self.test_images.shape[1:]}."
            )

    @cached_property
    def fingerprint(self) -> str:
        """The sha256 over dtype, shape and bytes of the four arrays: equal data, equal fingerprint."""
        digest = hashlib.sha256()
        for array in (self.train_images, self.train_labels, self.test_images, self.test_labels):
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()

    def facts(self) -> Mapping[str, Any]:
        """What a later reader of a run or a version needs to know about its data; fit for JSON."""
        return {
            "name": self.name,
            "source": self.source,
            "licence": self.licence,
            "fingerprint": self.fingerprint,
            "train_examples": len(self.train_images),
            "test_examples": len(self.test_images),
        }
