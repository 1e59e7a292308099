"""`/openapi.json`: every REST route of every model, with schemas made from the signatures that its server tells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelport import __version__
from modelport.errors import ModelportError
from modelport_client import Client, Metadata
from modelport_console.openapi import schemas
from modelport_console.settings import Settings
from modelport_console.watching.snapshot import Snapshot

_ANSWER_S = 5.0  # for the signatures of one model
_METHODS = {"tensorflow/serving/classify": "classify", "tensorflow/serving/regress": "regress"}
_ERROR = {"$ref": "#/components/responses/Error"}
_STATES = ("START", "LOADING", "AVAILABLE", "UNLOADING", "END")
_PATHS = {
    "": [],
    "/versions/{version}": [
        {"name": "version", "in": "path", "required": True, "schema": {"type": "integer", "minimum": 0}}
    ],
    "/labels/{label}": [{"name": "label", "in": "path", "required": True, "schema": {"type": "string"}}],
}


def make(settings: Settings, snapshot: Snapshot) -> dict[str, Any]:
    """The document; a model that no server answers for has its status alone."""
    paths: dict[str, Any] = {}
    for model, metadata in _metadata(settings, snapshot).items():
        paths.update(_of_model(model, metadata))
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "TensorFlow Serving API",
            "version": __version__,
            "description": "The REST routes of the models that are served, by the signatures of what answers now.",
        },
        "servers": [{"url": server.rest} for server in settings.servers if server.rest] or [{"url": "/"}],
        "paths": paths,
        "components": {"schemas": {"Error": _ERRORS, "Status": _STATUS}, "responses": {"Error": _RESPONSE}},
    }


def _metadata(settings: Settings, snapshot: Snapshot) -> Mapping[str, Metadata | None]:
    """Model → its signatures, of the first server that has it."""
    found: dict[str, Metadata | None] = dict.fromkeys(snapshot.models)
    for server in settings.servers:
        told = snapshot.told.get(server.address)
        if told is None or told.fault:
            continue
        with Client(server.address, timeout=_ANSWER_S, retry=False) as client:
            for model in told.states:
                if found.get(model) is None and any(one.state == "AVAILABLE" for one in told.states[model]):
                    try:
                        found[model] = client.metadata(model)
                    except ModelportError:
                        continue  # it went away in between: its status says so
    return found


def _of_model(model: str, metadata: Metadata | None) -> dict[str, Any]:
    base = f"/v1/models/{model}"
    made: dict[str, Any] = {}
    for suffix, parameters in _PATHS.items():
        which = suffix.strip("/").partition("/")[0] or "newest"
        shared: dict[str, Any] = {"parameters": parameters} if parameters else {}
        made[base + suffix] = {
            **shared,
            "get": _get(model, f"status.{which}", "The states of its versions", _REF_STATUS),
        }
        made[f"{base}{suffix}/metadata"] = {
            **shared, "get": _get(model, f"metadata.{which}", "Its signatures", {"type": "object"})
        }  # fmt: skip
        if metadata is None:
            continue
        for verb in (
            "predict",
            *sorted({_METHODS[s.method_name] for s in metadata.signatures.values() if s.method_name in _METHODS}),
        ):
            made[f"{base}{suffix}:{verb}"] = {**shared, "post": _post(model, verb, which, metadata)}
    return made


def _get(model: str, name: str, text: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "operationId": f"{model}.{name}",
        "summary": text,
        "tags": [model],
        "responses": {"200": _json(text, schema), "default": _ERROR},
    }


def _post(model: str, verb: str, which: str, metadata: Metadata) -> dict[str, Any]:
    if verb == "predict":
        asked = [schemas.requests(name, one) for name, one in metadata.signatures.items()]
        given = [schemas.answers(one) for one in metadata.signatures.values()]
    else:
        asked, given = (
            [_EXAMPLES],
            [{"type": "object", "required": ["results"], "properties": {"results": {"type": "array"}}}],
        )
    return {
        "operationId": f"{model}.{verb}.{which}",
        "summary": f"Ask {model}",
        "tags": [model],
        "requestBody": {"required": True, "content": {"application/json": {"schema": _any_of(asked)}}},
        "responses": {"200": _json(f"By version {metadata.version} now", _any_of(given)), "default": _ERROR},
    }


def _any_of(found: list[dict[str, Any]]) -> dict[str, Any]:
    return found[0] if len(found) == 1 else {"anyOf": found}


def _json(text: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"description": text, "content": {"application/json": {"schema": schema}}}


_EXAMPLES = {
    "type": "object",
    "required": ["examples"],
    "properties": {
        "signature_name": {"type": "string"},
        "context": {"type": "object"},
        "examples": {"type": "array", "minItems": 1, "items": {"type": "object"}},
    },
}
_ERRORS = {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}}
_RESPONSE = _json("What is wrong, in the server's words", {"$ref": "#/components/schemas/Error"})
_REF_STATUS = {"$ref": "#/components/schemas/Status"}
_STATUS = {
    "type": "object",
    "required": ["model_version_status"],
    "properties": {
        "model_version_status": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "version": {"type": "string", "description": "an integer of 64 bits, as text"},
                    "state": {"enum": list(_STATES)},
                    "status": {
                        "type": "object",
                        "properties": {"error_code": {"type": "string"}, "error_message": {"type": "string"}},
                    },
                },
            },
        }
    },
}
