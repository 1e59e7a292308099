"""What a user says about data of his own."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TEST_EVERY = 10  # one example in so many is held out
_BLOCK = 2**20  # bytes that are read at a time


@dataclass(frozen=True)
class DataOptions:
    """Where data are, and what is to be made of them.

    Args:
        path: a file, or a folder of images.
        target: the column or field to be predicted; the folder's name of an image.
        task: "classification" or "regression"; None for the first where the target is text or true and false, else the
            second.
        text: columns that are text although values of them read as numbers.
        features: a JSON file that describes the features of TFRecords.
        image_size: pixels, to which images are made that are of other sizes; None where all are of one.
        streamed: read from the disk for every epoch; None where memory has no room for all.
    """

    path: Path
    target: str | None = None
    task: str | None = None
    text: tuple[str, ...] = ()
    features: Path | None = None
    image_size: int | None = None
    streamed: bool | None = None

    def to_dict(self) -> Mapping[str, Any]:
        """For JSON: what decides the examples."""
        found = dataclasses.asdict(self)
        return {name: str(value) if isinstance(value, Path) else value for name, value in found.items()} | {
            "text": list(self.text)
        }


def is_held_out(row: Any) -> Any:
    """Whether a row, or each of many, is held out: every tenth, so that data in the order of their classes are, too."""
    return row % TEST_EVERY == TEST_EVERY - 1


def digest(path: Path, *others: object) -> str:
    """The sha256 of a file's bytes, and of what else decides the examples."""
    found = hashlib.sha256(repr(others).encode())
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            found.update(block)
    return found.hexdigest()
