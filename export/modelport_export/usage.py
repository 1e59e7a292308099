"""How to ask a published version: a curl line and a Python call that work when pasted."""

from __future__ import annotations

import base64
import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from modelport import layout
from modelport.manifest import Manifest
from modelport_export.proof.rows import Rows
from modelport_export.signatures import REST_DTYPES, SERVE_IMAGE_BYTES, SERVING_DEFAULT, Array, Signature

REQUEST = layout.REQUEST
_LONGEST_LINE = 200  # beyond it the request is read from the file


def rest_request(signatures: Mapping[str, Signature], feeds: Mapping[str, Mapping[str, Array]]) -> str | None:
    """The JSON body of a request with one row, or as many as there must be; of an image where it takes files.

    Returns:
        None when there is no sample, or REST cannot carry a dtype of the signature.
    """
    name = next((n for n in (SERVE_IMAGE_BYTES, SERVING_DEFAULT) if n in feeds), next(iter(feeds), None))
    if name is None:
        return None
    signature = signatures[name]
    if any(spec.dtype not in REST_DTYPES for spec in (*signature.inputs.values(), *signature.outputs.values())):
        return None
    body: dict[str, Any] = {} if name == SERVING_DEFAULT else {"signature_name": name}
    rows = Rows.of(signature.inputs)
    unit = {alias: _to_json(array) for alias, array in rows.take(feeds[name], [0]).items()}
    has_rows = all(spec.shape is None or spec.shape for spec in signature.outputs.values())
    if not has_rows or set(unit) != rows.aliases:  # a value without rows goes into columns only
        body["inputs"] = next(iter(unit.values())) if len(unit) == 1 else unit
        return json.dumps(body)
    values = [dict(zip(unit, row, strict=True)) for row in zip(*unit.values(), strict=True)]
    body["instances"] = [row if len(row) > 1 else next(iter(row.values())) for row in values]
    return json.dumps(body)


def curl_line(name: str, folder: Path) -> str | None:
    """A request of the version in `folder` to a server on this machine; a long body is read from the version's file."""
    path = folder / REQUEST
    if not path.is_file():
        return None
    body = path.read_text("utf-8").strip()
    data = body if len(body) <= _LONGEST_LINE else f"@{path}"
    return f"curl -s -d {shlex.quote(data)} http://localhost:8501/v1/models/{name}:predict"


def python_call(manifest: Manifest) -> str:
    """The same over gRPC, with one row of zeros or empty strings."""
    name = SERVING_DEFAULT if SERVING_DEFAULT in manifest.signatures else min(manifest.signatures)
    inputs = ", ".join(f"{alias!r}: {_zeros(spec)}" for alias, spec in manifest.signatures[name]["inputs"].items())
    suffix = "" if name == SERVING_DEFAULT else f", signature={name!r}"
    return (
        "import numpy as np\n"
        "from modelport_client import Client\n"
        'with Client("localhost:8500") as client:\n'
        f"    print(client.predict({manifest.model!r}, {{{inputs}}}{suffix}))"
    )


def _zeros(spec: Mapping[str, Any]) -> str:
    shape = tuple(1 if size == -1 else size for size in spec["shape"] or [-1])
    return f"np.full({shape}, '')" if spec["dtype"] == "string" else f"np.zeros({shape}, {spec['dtype']!r})"


def _to_json(value: Any) -> Any:
    if isinstance(value, bytes):
        text = value.decode("utf-8", "replace")
        return text if text.isprintable() and "\ufffd" not in text else {"b64": base64.b64encode(value).decode()}
    if isinstance(value, np.ndarray):
        return [_to_json(item) for item in value] if value.ndim else _to_json(value.item())
    return value.item() if isinstance(value, np.generic) else value
