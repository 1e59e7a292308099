"""JSON schemas of what a signature takes and gives over REST, by rows and by columns.

Source: https://www.tensorflow.org/tfx/serving/api_rest
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelport_client import SignatureSpec, TensorSpec

Schema = dict[str, Any]

_BYTES: Schema = {
    "type": "object",
    "properties": {"b64": {"type": "string", "contentEncoding": "base64"}},
    "required": ["b64"],
    "additionalProperties": False,
}
DEFAULT = "serving_default"


def by_columns(tensors: Mapping[str, TensorSpec]) -> Schema:
    """All tensors whole; the only one of a signature without its name, or with it."""
    if len(tensors) == 1:
        return whole(next(iter(tensors.values())))
    return _object({name: whole(spec) for name, spec in tensors.items()})


def by_rows(tensors: Mapping[str, TensorSpec]) -> Schema | None:
    """A list of rows; None where a tensor has none."""
    if any(spec.shape is not None and not spec.shape for spec in tensors.values()):
        return None
    rows = {
        name: _nested(_leaf(spec), None if spec.shape is None else spec.shape[1:]) for name, spec in tensors.items()
    }
    row = next(iter(rows.values())) if len(rows) == 1 else _object(rows)
    return {"type": "array", "items": row, "minItems": 1}


def whole(spec: TensorSpec) -> Schema:
    """A tensor with all its dimensions."""
    return {**_nested(_leaf(spec), spec.shape), "description": str(spec)}


def requests(name: str, signature: SignatureSpec) -> Schema:
    """The body of a predict request of a signature: `inputs`, or `instances` where there are rows."""
    said: Schema = {"const": name, "description": f"{name}{signature}"}
    named = [] if name == DEFAULT else ["signature_name"]
    columns = {
        "type": "object",
        "properties": {"signature_name": said, "inputs": by_columns(signature.inputs)},
        "required": [*named, "inputs"],
    }
    rows = by_rows(signature.inputs)
    if rows is None:
        return columns
    return {
        "oneOf": [
            {
                "type": "object",
                "properties": {"signature_name": said, "instances": rows},
                "required": [*named, "instances"],
            },
            columns,
        ]
    }


def answers(signature: SignatureSpec) -> Schema:
    """The answer: `outputs` to `inputs`, `predictions` to `instances`."""
    columns = {"type": "object", "properties": {"outputs": by_columns(signature.outputs)}, "required": ["outputs"]}
    rows = by_rows(signature.outputs)
    if rows is None or by_rows(signature.inputs) is None:
        return columns
    row = {"type": "object", "properties": {"predictions": rows}, "required": ["predictions"]}
    return {"oneOf": [row, columns]}


def _object(properties: Mapping[str, Schema]) -> Schema:
    return {"type": "object", "properties": dict(properties), "required": sorted(properties)}


def _nested(leaf: Schema, shape: tuple[int, ...] | None) -> Schema:
    if shape is None:
        return {"description": "of any rank"}
    made = leaf
    for size in reversed(shape):
        bounds = {} if size < 0 else {"minItems": size, "maxItems": size}
        made = {"type": "array", "items": made, **bounds}
    return dict(made)


def _leaf(spec: TensorSpec) -> Schema:
    if spec.dtype is None:
        return {"description": "not a type that can be sent"}
    if spec.dtype.numpy_name == "object":
        return {"oneOf": [{"type": "string"}, _BYTES]}
    if spec.dtype.name == "bool":
        return {"type": "boolean"}
    return {"type": "integer"} if "int" in spec.dtype.numpy_name else {"type": "number"}
