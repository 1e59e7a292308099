"""The routes of trying a model: the form, and the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from modelport.errors import InvalidArgument, ModelportError, NotFound, Unavailable
from modelport_client import Client, Metadata
from modelport_console.desk import Desk
from modelport_console.routes.changes import body
from modelport_console.settings import Server
from modelport_console.trying import answering, fields, pasting, reading
from modelport_console.trying.answering import Which
from modelport_console.watching.snapshot import AVAILABLE

_DEFAULT = "serving_default"
_MOST_WHICH = 2  # side by side


def routes(desk: Desk) -> Sequence[Route]:
    """Both. Asking changes nothing, so a read-only console has them, too."""
    return [
        Route("/models/{model}/try", partial(_form, desk)),
        Route("/models/{model}/ask", partial(_ask, desk), methods=["POST"]),
    ]


async def _form(desk: Desk, request: Request) -> Response:
    model, asked = request.path_params["model"], request.query_params
    server = _server(desk, model, asked.get("server", ""))
    which = Which.of(asked.get("version", ""))
    metadata = await anyio.to_thread.run_sync(_metadata, server, model, which)
    wanted = asked.get("signature") or fields.first(metadata.signatures)
    signature = metadata.signatures.get(wanted)
    if signature is None:
        raise NotFound(f"Expected one of the signatures {sorted(metadata.signatures)}. Received: {wanted!r}")
    published = desk.watcher.snapshot.of(model)
    told = desk.watcher.snapshot.states(server.address, model)
    versions = [one.version for one in told if one.state == AVAILABLE]
    return desk.page(
        "try.html", model=model, server=server, metadata=metadata, signature=wanted, chosen=asked.get("version", ""),
        fields=fields.form(wanted, signature, dict(metadata.signatures)), labels=sorted(published.labels),
        versions=versions, outputs=signature.outputs, here="models",
    )  # fmt: skip


async def _ask(desk: Desk, request: Request) -> Response:
    model, found = request.path_params["model"], await body(request)
    if not isinstance(found, dict) or not isinstance(found.get("inputs"), dict):
        raise InvalidArgument("Expected an object with 'signature', 'versions' and 'inputs'.")
    versions = found.get("versions", [""])
    if (
        not isinstance(versions, list)
        or not 1 <= len(versions) <= _MOST_WHICH
        or not all(isinstance(one, str) for one in versions)
    ):
        raise InvalidArgument(f"Expected one version or label, or two. Received: {str(versions)[:80]}")
    server = _server(desk, model, str(found.get("server", "")))
    signature = str(found.get("signature") or _DEFAULT)
    try:
        answer = await anyio.to_thread.run_sync(_answers, desk, server, model, signature, versions, found["inputs"])
    except reading.FieldError as error:
        return JSONResponse({"error": error.message, "fields": [error.field]}, 400)
    return JSONResponse(answer)


def _answers(
    desk: Desk, server: Server, model: str, signature: str, versions: Sequence[str], given: Mapping[str, Any]
) -> dict[str, Any]:
    """Each version's answer, and the request of the first one to paste."""
    answers: list[dict[str, Any]] = []
    paste: dict[str, Any] = {}
    with Client(server.address, timeout=answering.TIMEOUT_S, retry=False) as client:
        for text in versions:
            which = Which.of(text)
            try:
                metadata = client.metadata(model, version=which.version, label=which.label)
            except ModelportError as error:
                answers.append({"which": text, "error": error.message, "code": error.code.name, "fields": []})
                continue
            spec = metadata.signatures.get(signature)
            if spec is None:
                message = (
                    f"Version {metadata.version} has no signature {signature!r}, but {sorted(metadata.signatures)}."
                )
                answers.append({"which": text, "error": message, "code": "NOT_FOUND", "fields": []})
                continue
            inputs = reading.read(spec, given)
            if not paste:
                names = {name: _names(one) for name, one in given.items() if isinstance(one, dict) and "b64" in one}
                paste = pasting.paste(server, model, which, signature, inputs, names)
            answer = answering.ask(client, model, which, signature, spec, inputs)
            answers.append({"which": text, "labels": _labels(desk, model, answer.get("version")), **answer})
    return {"answers": answers, "paste": paste}


def _names(given: Mapping[str, Any]) -> list[str]:
    """The names of files, as the page tells them."""
    names = given.get("names")
    return [str(one) for one in names] if isinstance(names, list) else [""]


def _labels(desk: Desk, model: str, version: int | None) -> list[str]:
    """The names of the classes, where the version's manifest has them."""
    if desk.settings.repository is None or version is None or model not in desk.watcher.snapshot.published:
        return []
    try:
        manifest = desk.settings.repository.read_manifest(model, version)
    except ModelportError:
        return []
    found = manifest.proof.get("labels") if manifest is not None else None
    return [str(one) for one in found] if isinstance(found, list) else []


def _metadata(server: Server, model: str, which: Which) -> Metadata:
    with Client(server.address, timeout=answering.TIMEOUT_S, retry=False) as client:
        return client.metadata(model, version=which.version, label=which.label)


def _server(desk: Desk, model: str, address: str) -> Server:
    """The server that is named; else the first that has a version of the model that answers."""
    snapshot = desk.watcher.snapshot
    for server in desk.settings.servers:
        states = snapshot.states(server.address, model)
        if server.address == address or (not address and any(one.state == AVAILABLE for one in states)):
            return server
    if address:
        known = ", ".join(server.address for server in desk.settings.servers)
        raise NotFound(f"Expected one of the servers {known}. Received: {address!r}")
    reasons = " ".join(f"{place.address}: {place.why_not_ready(None)}" for place in snapshot.at_servers(model))
    raise Unavailable(f"No server answers for {model!r} now. {reasons}")
