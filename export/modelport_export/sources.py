"""Where a model comes from: memory, a `.keras` file, a run folder (`modelport.run_record`), or a SavedModel folder."""

from __future__ import annotations

import importlib
import re
import sys
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras

from modelport import layout, run_record
from modelport.errors import DataLoss, FailedPrecondition, InvalidArgument, NotFound, PermissionDenied
from modelport.run_record import RunRecord, is_target, read_npz
from modelport_export import keras_files
from modelport_export.images import ImageInput
from modelport_export.signatures import Array

_KINDS = "a .keras file, a run folder with run.json, or a SavedModel folder with saved_model.pb"


@dataclass(frozen=True)
class Source:
    """A model and what is known about it; `model` is a Keras model, or the path of a SavedModel folder."""

    model: Any
    image: ImageInput | None = None
    labels: Sequence[str] | None = None
    samples: Mapping[str, Array] | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    history: Sequence[Mapping[str, float]] = ()  # one mapping an epoch
    evaluation: Mapping[str, Array] | None = None  # held-out rows with what the model ought to answer
    evaluation_is_wanted: bool = False  # rows that cannot be used are then an error


def load(
    path: Path | str,
    *,
    imports: Sequence[str] = (),
    custom: Mapping[str, str] | None = None,
    allow_lambda: bool = False,
    allow_h5: bool = False,
) -> Source:
    """Load what is to be published.

    Args:
        path: of a file or folder, see above.
        imports: modules that register the custom classes of a `.keras` file.
        custom: name of a custom class in a file → "module:Class".
        allow_lambda: load Lambda layers, whose Python code then runs in this process.
        allow_h5: load `.h5` files, which Keras reads without its safe mode.

    Raises:
        NotFound: the path or a file in it is missing.
        PermissionDenied: a Lambda layer or `.h5` file that was not allowed by name.
        FailedPrecondition: a custom class or module that is not there.
        DataLoss: a file that cannot be read.
    """
    path = Path(path)
    for module in imports:
        _import(module, "--import")
    classes = {name: _custom(name, place) for name, place in (custom or {}).items()}
    with keras.saving.custom_object_scope(classes):
        return _load(path, allow_lambda, allow_h5)


def _load(path: Path, allow_lambda: bool, allow_h5: bool) -> Source:
    if not path.exists():
        raise NotFound(f"Expected {_KINDS}. Received: {str(path)!r}, which does not exist.")
    if (path / layout.SAVED_MODEL).exists():
        rows = path / layout.EVALUATION
        return Source(path, evaluation=read_npz(rows) if rows.exists() else None)
    if (record := run_record.read(path)) is not None:
        return _load_run(path, record, allow_lambda)
    if path.suffix in (".h5", ".hdf5"):
        keras_files.refuse_weights(path)
        if not allow_h5:
            raise PermissionDenied(
                f"Expected a .keras file: .h5 files are read without Keras' safe mode and may run code. Received: "
                f"{str(path)!r}. Convert it with keras.saving.load_model(…).save('model.keras'), or pass --allow-h5 if "
                "you trust where it is from."
            )
        return Source(_load_keras(path, allow_lambda))
    if path.suffix == ".keras":
        return Source(_load_keras(path, allow_lambda))
    raise InvalidArgument(f"Expected {_KINDS}. Received: {str(path)!r}")


def _load_run(folder: Path, record: RunRecord, allow_lambda: bool) -> Source:
    if not record.finished:
        raise FailedPrecondition(
            f"Expected a finished run. Received: {str(folder)!r}, whose training was interrupted. Resume it first."
        )
    if record.recipe:
        _import(record.recipe, f"the recipe of {str(folder)!r}")
    image = ImageInput.from_dict(record.image) if record.image else None
    return Source(
        model=_load_keras(folder / run_record.MODEL, allow_lambda),
        image=image,
        labels=record.labels or None if image is not None else None,
        samples=_load_samples(folder / run_record.SAMPLES, image),
        metrics=record.metrics,
        data=record.dataset,
        training={"recipe": record.recipe, **record.settings},
        history=record.history,
        evaluation=_load_evaluation(folder, image),
    )


def _load_evaluation(folder: Path, image: ImageInput | None) -> dict[str, Array] | None:
    """The held-out rows of a run; of one without, its samples where they have targets."""
    for file in (folder / run_record.EVALUATION, folder / run_record.SAMPLES):
        if not file.exists():
            continue
        arrays = read_npz(file)
        if image is not None:
            arrays = {name: array for name, array in arrays.items() if name == "image" or is_target(name)}
        if any(map(is_target, arrays)):
            return arrays
    return None


def _load_samples(path: Path, image: ImageInput | None) -> dict[str, Array] | None:
    if not path.exists():
        return None
    arrays = read_npz(path)
    if image is not None:
        return {name: array for name, array in arrays.items() if name == "image"}
    return {name: array for name, array in arrays.items() if not is_target(name)}


def _load_keras(path: Path, allow_lambda: bool) -> Any:
    if not path.is_file():
        raise NotFound(f"Expected a saved Keras model. Received: {str(path)!r}, which is no file.")
    try:
        # Without its optimizer and losses, which serving does not need and which may be custom classes too.
        return keras.saving.load_model(path, compile=False, safe_mode=not allow_lambda)
    except (zipfile.BadZipFile, EOFError, OSError) as error:
        raise DataLoss(f"Expected a Keras model file in {str(path)!r}; it cannot be read: {error}") from error
    except Exception as error:  # custom classes run here, and Keras wraps what they raise
        raise _explain(path, error) from error


def _explain(path: Path, error: Exception) -> Exception:
    text = str(error)
    other = keras_files.other_keras(path)
    if other is not None:
        return FailedPrecondition(
            f"{other} Keras {keras.__version__} cannot load it ({type(error).__name__}: {_one_line(text)})"
        )
    missing = re.search(r"Could not locate (?:class|function) '([^']+)'", text)
    if missing:
        return FailedPrecondition(
            f"{str(path)!r} was saved with the custom class {missing[1]!r}, which this process does not know. Put "
            f"@keras.saving.register_keras_serializable() above 'class {missing[1]}', and import its module first: "
            "--import my.module (or import it before calling publish); of somebody else's class, say where it is: "
            f"--custom {missing[1]}=module:Class."
        )
    if "Lambda" in text and ("safe_mode" in text or "unsafe" in text):
        return PermissionDenied(lambda_text(f"a Lambda layer in {str(path)!r}"))
    if path.suffix == ".keras" and not zipfile.is_zipfile(path):
        return DataLoss(f"Expected a Keras model file in {str(path)!r}; it is no .keras archive, or was cut short.")
    return FailedPrecondition(f"Keras cannot load {str(path)!r} ({type(error).__name__}): {_one_line(text)}")


def lambda_text(received: str) -> str:
    """The refusal of a Lambda layer."""
    return (
        "Expected a model without Lambda layers, which carry Python code that runs when the file is loaded. Received: "
        f"{received}. Write it as a layer class with @keras.saving.register_keras_serializable(), or pass "
        "--allow-lambda (allow_lambda=True) if you trust where it is from."
    )


def _one_line(text: str) -> str:
    return " ".join(text.split())[:500]


def _custom(name: str, place: str) -> Any:
    module, _, attribute = place.partition(":")
    if not module or not attribute:
        raise InvalidArgument(f"Expected a custom class as NAME=module:Class. Received: {name}={place}")
    _import(module, "--custom")
    found: Any = sys.modules[module]
    for part in attribute.split("."):
        found = getattr(found, part, None)
    if found is None:
        raise NotFound(f"Expected {attribute!r} in the module {module!r}, as --custom says. There is none.")
    return found


def _import(module: str, why: str) -> None:
    try:
        importlib.import_module(module)
    except Exception as error:  # the user's module runs here
        raise FailedPrecondition(
            f"Expected to import {module!r}, named by {why}, because custom classes are registered by it. Received "
            f"{type(error).__name__}: {error}. Is its folder on PYTHONPATH?"
        ) from error
