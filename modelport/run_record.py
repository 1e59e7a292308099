"""What a run folder says: the only thing that the exporter reads of a training.

    run/
    ├── run.json        recipe, labels, image, metrics, dataset, settings; "finished" when all of it is there
    ├── model.keras     the model as of its best epoch
    ├── samples.npz     raw held-out inputs by name, and `label` or `target_*`, which are no inputs
    └── evaluation.npz  more of the same, see `modelport.evaluation_rows`; may be left out

Training writes more into it, for people and for itself. Every field of `run.json` may be left out, so that a folder of
one's own making can be published too.
"""

from __future__ import annotations

import dataclasses
import json
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelport import atomic
from modelport.errors import DataLoss, FailedPrecondition, NotFound, from_os_error
from modelport.json_files import (
    Check,
    check_fields,
    is_int,
    is_mapping,
    is_number,
    is_text,
    is_texts,
    or_null,
    read_object,
)
from modelport.regular_files import open_regular

SCHEMA = 1
RECORD = "run.json"
MODEL = "model.keras"
SAMPLES = "samples.npz"
EVALUATION = "evaluation.npz"
MOST_RECORD_BYTES = 16 * 2**20  # 10,000 epochs and 100,000 labels at 100 bytes each
MOST_SAMPLES_BYTES = 4 * 2**30  # of all arrays, unpacked, because all are held in memory: far more than proves a model

# What zipfile and numpy raise for archives that are cut, changed, encrypted, or lie about the size of an array.
_BROKEN_NPZ = (
    *(ValueError, TypeError, AttributeError, EOFError, MemoryError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error),
)

Array = NDArray[Any]


@dataclass(frozen=True)
class RunRecord:
    """What `run.json` says."""

    finished: bool = True
    recipe: str | None = None  # the module that registers the model's own classes
    labels: Sequence[str] | None = None  # of the classes
    image: Mapping[str, Any] | None = None  # `ImageInput.to_dict` of an image classifier
    metrics: Mapping[str, float] = field(default_factory=dict)  # on held-out data
    dataset: Mapping[str, Any] = field(default_factory=dict)  # name, source, licence, fingerprint and sizes
    settings: Mapping[str, Any] = field(default_factory=dict)  # those that decided the weights
    history: Sequence[Mapping[str, float]] = ()  # one mapping an epoch
    code: Mapping[str, str] = field(default_factory=dict)  # sha256 of each module of the recipe
    changed_code: Sequence[Mapping[str, Any]] = ()  # what was changed while it was trained, and why


_OBJECT: Check = (is_mapping, "an object")
_CHECKS: dict[str, Check] = {
    "schema": (lambda value: is_int(value) and value == SCHEMA, f"{SCHEMA}, the only schema there is"),
    "finished": (lambda value: isinstance(value, bool), "true or false"),
    "recipe": or_null((is_text, "the name of a module")),
    "labels": or_null((is_texts, "a list of strings")),
    "image": or_null(_OBJECT),
    "metrics": or_null(
        (lambda value: is_mapping(value) and all(map(is_number, value.values())), "an object of numbers")
    ),
    "dataset": or_null(_OBJECT),
    "settings": or_null(_OBJECT),
    "code": or_null(_OBJECT),
    "changed_code": or_null(
        (lambda value: isinstance(value, list) and all(map(is_mapping, value)), "a list of objects")
    ),
    "history": or_null((lambda value: isinstance(value, list) and all(map(is_mapping, value)), "a list of objects")),
}


def read(folder: Path) -> RunRecord | None:
    """The record in a run folder, or None when there is none.

    Raises:
        DataLoss: it is no record of a run; the message says what is wrong with it.
        PermissionDenied, …: it cannot be read.
    """
    path = folder / RECORD
    try:
        found = read_object(path, MOST_RECORD_BYTES)
    except NotFound:
        return None
    check_fields(found, _CHECKS, path)
    known = {one.name for one in dataclasses.fields(RunRecord)}
    return RunRecord(**{name: value for name, value in found.items() if name in known and value is not None})


def write(folder: Path, fields: Mapping[str, Any]) -> None:
    """Replace the record in a run folder; `fields` may hold more than `RunRecord` does."""
    atomic.write_text(folder / RECORD, json.dumps({"schema": SCHEMA, **fields}, indent=2) + "\n")


def is_target(name: str) -> bool:
    """Whether an array of the samples is what the model ought to answer, and no input."""
    return name == "label" or name.startswith("target_")


def read_npz(path: Path) -> dict[str, Array]:
    """All arrays of an `.npz` file, without running code from it.

    Raises:
        NotFound, PermissionDenied, …: the file cannot be opened.
        FailedPrecondition: it is no regular file, or larger than MOST_SAMPLES_BYTES.
        DataLoss: it is no `.npz`, or holds Python objects.
    """
    try:
        with open_regular(path) as file:
            with zipfile.ZipFile(file) as packed:
                size = sum(entry.file_size for entry in packed.infolist())
            if size > MOST_SAMPLES_BYTES:
                raise FailedPrecondition(
                    f"Expected samples of at most {MOST_SAMPLES_BYTES:,} bytes in {str(path)!r}. Received: {size:,} "
                    "bytes. Keep some rows of them only: 64 are looked at."
                )
            file.seek(0)
            with np.load(file, allow_pickle=False) as archive:
                return {name: archive[name] for name in archive.files}
    except OSError as error:
        raise from_os_error(error, "read the samples", path) from error
    except _BROKEN_NPZ as error:
        raise DataLoss(
            f"Expected samples as np.savez writes them, without Python objects. Received: {str(path)!r} ({error})"
        ) from error
