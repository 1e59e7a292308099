"""A version is asked with the samples that it carries, before anybody is sent to it."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from modelport import evaluation_rows, layout
from modelport.errors import FailedPrecondition, ModelportError, NotFound
from modelport.json_files import read_object
from modelport.manifest import Manifest
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
        inputs, signature = _inputs(repository, model, version)
        if inputs is None:
            return
        answer = client.predict(model, inputs, version=version, signature=signature)
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


def _inputs(repository: Repository, model: str, version: int) -> tuple[Any, str | None]:
    """What to ask, None for nothing, and the signature."""
    folder = repository.version_path(model, version)
    rows = folder / layout.EVALUATION
    if rows.exists():
        inputs, _ = evaluation_rows.parts(read_npz(rows))
        count = _rows(repository.read_manifest(model, version))
        return {name: array[:count] for name, array in inputs.items()}, None
    request = folder / layout.REQUEST
    if not request.exists():
        return None, None
    found = read_object(request, _MOST_BYTES)
    signature = found.get("signature_name")
    if "inputs" in found:
        return _plain(found["inputs"]), signature
    instances = [_plain(row) for row in found.get("instances", ())]
    if instances and isinstance(instances[0], dict):
        return {name: [row[name] for row in instances] for name in instances[0]}, signature
    return instances or None, signature


def _rows(manifest: Manifest | None) -> int:
    """How many rows a request may have: as many as the signature says, where it says how many."""
    inputs = {} if manifest is None else manifest.signatures.get("serving_default", {}).get("inputs", {})
    sizes = {spec["shape"][0] for spec in inputs.values() if spec.get("shape")}
    return int(max(sizes)) if sizes and min(sizes) > 0 else _ROWS


def _plain(value: Any) -> Any:
    """JSON of the API, with its bytes as bytes."""
    if isinstance(value, dict):
        if set(value) == {"b64"}:
            return base64.b64decode(value["b64"])
        return {name: _plain(one) for name, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list) else value
