"""A version is asked with the samples that it carries, before anybody is sent to it."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from modelport import evaluation_rows, layout
from modelport.errors import FailedPrecondition, ModelportError, NotFound
from modelport.json_files import read_object
from modelport.repository import Repository
from modelport.run_record import read_npz
from modelport_client import Client

_ROWS = 16  # that are asked: whether it answers is the question, how good it is was asked when it was published
_MOST_BYTES = 64 * 2**20  # of the request of one row


def ask(client: Client, *, repository: Repository | None, model: str, version: int) -> None:
    """Ask a loaded version for samples of its own; of one that carries none, or cannot be seen from here, nothing.

    Raises:
        FailedPrecondition: it does not answer them, or not with numbers where it did when it was published.
    """
    if repository is None:
        return
    try:
        inputs = _inputs(repository, model, version)
        if inputs is None:
            return
        answer = client.predict(model, inputs, version=version)
    except NotFound:
        raise
    except ModelportError as error:
        raise FailedPrecondition(
            f"Expected version {version} of {model!r} at {client.target} to answer its own samples. Received: "
            f"{error.message}"
        ) from error
    manifest = repository.read_manifest(model, version)
    if manifest is None or "non_finite" not in manifest.proof:
        return  # nobody said what its answers are
    for name, array in answer.items():
        if array.dtype.kind == "f" and name not in manifest.proof["non_finite"] and not np.isfinite(array).all():
            raise FailedPrecondition(
                f"Expected version {version} of {model!r} at {client.target} to answer its own samples with numbers, "
                f"as it did when it was published. Received: NaN or infinity in {name!r}."
            )


def _inputs(repository: Repository, model: str, version: int) -> dict[str, Any] | Any | None:
    folder = repository.version_path(model, version)
    rows = folder / layout.EVALUATION
    if rows.exists():
        inputs, _ = evaluation_rows.parts(read_npz(rows))
        return {name: array[:_ROWS] for name, array in inputs.items()}
    request = folder / layout.REQUEST
    if not request.exists():
        return None
    found = read_object(request, _MOST_BYTES)
    if "inputs" in found:
        return _plain(found["inputs"])
    instances = [_plain(row) for row in found.get("instances", ())]
    if instances and isinstance(instances[0], dict):
        return {name: [row[name] for row in instances] for name in instances[0]}
    return instances or None


def _plain(value: Any) -> Any:
    """JSON of the API, with its bytes as bytes."""
    if isinstance(value, dict):
        if set(value) == {"b64"}:
            return base64.b64decode(value["b64"])
        return {name: _plain(one) for name, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list) else value
