"""What a file of Keras says about itself: which Keras wrote it, and whether it is a model or weights alone."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import h5py  # type: ignore[import-untyped]  # has no types
import keras

from modelport.errors import FailedPrecondition

_MOST_BYTES = 2**20  # of the metadata


def refuse_weights(path: Path) -> None:
    """Refuse an HDF5 file of weights, which has no model to put them into.

    Raises:
        FailedPrecondition: it is one.
    """
    attributes = _h5_attributes(path)
    if attributes is not None and "model_config" not in attributes:
        raise FailedPrecondition(
            f"Expected a saved model. Received: {str(path)!r}, which holds weights and no model. Build the model in "
            "Python, call load_weights, and save it whole: model.save('model.keras')."
        )


def other_keras(path: Path) -> str | None:
    """A sentence about a file that another Keras wrote, and what to do; None where it was this one or nobody says."""
    version = _version(path)
    if version is None:
        return None
    written, ours = _numbers(version), _numbers(keras.__version__)
    if not written:
        return None
    if written[0] < ours[0]:
        return (
            f"{str(path)!r} was written by Keras {version}, which is another library than Keras {ours[0]}. Load it "
            "with tf_keras (pip install tf_keras) and write a SavedModel: "
            "tf_keras.models.load_model(…).export('folder'); then publish the folder."
        )
    if written > ours:
        return (
            f"{str(path)!r} was written by Keras {version}, which is newer. Install that one here: "
            f"pip install 'keras=={version}'."
        )
    return None


def _version(path: Path) -> str | None:
    if path.suffix == ".keras":
        try:
            with zipfile.ZipFile(path) as archive, archive.open("metadata.json") as file:
                found = json.loads(file.read(_MOST_BYTES)).get("keras_version")
        except Exception:  # of many kinds, by what is wrong with the archive: then nobody says
            return None
        return found if isinstance(found, str) else None
    found = (_h5_attributes(path) or {}).get("keras_version")
    return found.decode(errors="replace") if isinstance(found, bytes) else found


def _h5_attributes(path: Path) -> dict[str, str | bytes] | None:
    try:
        with h5py.File(path) as file:
            return {name: value for name in file.attrs if isinstance(value := file.attrs[name], str | bytes)}
    except Exception:  # h5py raises what its library says
        return None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:3] if part.isdigit())
