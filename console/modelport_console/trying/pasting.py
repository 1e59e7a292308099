"""The same request as a line of curl, of Python and of `modelport predict`."""

from __future__ import annotations

import base64
import json
import pprint
import shlex
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import numpy as np

from modelport_console.settings import Server
from modelport_console.trying.answering import Which

MOST_INLINE = 16_384  # characters that a terminal takes in a line; more is read from a file
_DRAWING = "drawing.png"  # what the page saves a drawing as


def paste(
    server: Server, model: str, which: Which, signature: str, inputs: Mapping[str, Any], files: Mapping[str, list[str]]
) -> dict[str, Any]:
    """The three, and the files that they read; of a server whose REST port nobody said, curl says what is missing.

    Args:
        server: that was asked.
        model: its name.
        which: the version.
        signature: its name.
        inputs: as a client takes them.
        files: names of the files by input, of an input that was given as files.
    """
    columns = {name: _json(value) for name, value in inputs.items()}
    body = json.dumps({"signature_name": signature, "inputs": columns})
    is_long = len(body) > MOST_INLINE
    saved = {"request.json": body, "inputs.json": json.dumps(columns)} if is_long else {}
    return {
        "curl": _curl(server, model, which, "@request.json" if is_long else body),
        "python": _python(server, model, which, signature, inputs, is_long=is_long),
        "command": _command(server, model, which, signature, columns, files, is_long=is_long),
        "files": saved,
    }


def _curl(server: Server, model: str, which: Which, data: str) -> str:
    if server.rest is None:
        return "# Where the REST port is, nobody said: modelport console … --rest http://HOST:PORT"
    place = ""
    if which.version is not None:
        place = f"/versions/{which.version}"
    elif which.label is not None:
        place = f"/labels/{quote(which.label)}"
    return f"curl -s {server.rest}/v1/models/{quote(model)}{place}:predict -d {shlex.quote(data)}"


def _python(
    server: Server, model: str, which: Which, signature: str, inputs: Mapping[str, Any], *, is_long: bool
) -> str:
    lines = ["from modelport_client import Client", ""]
    bytes_inside = any(_has_bytes(value) for value in inputs.values())
    if is_long:
        lines[:0] = ["import json"]
        lines += ['with open("inputs.json") as file:', "    inputs = json.load(file)"]
        if bytes_inside:
            lines[:0] = ["import base64"]
            lines.append(
                'inputs = {name: [base64.b64decode(one["b64"]) for one in rows] for name, rows in inputs.items()}'
            )
    else:
        if bytes_inside:
            lines[:0] = ["from base64 import b64decode", ""]
        said = {name: _python_value(value) for name, value in inputs.items()}
        lines.append(f"inputs = {pprint.pformat(said, width=110, compact=True, sort_dicts=False)}")
    arguments = [repr(model), "inputs", f"signature={signature!r}"]
    arguments += [] if which.version is None else [f"version={which.version}"]
    arguments += [] if which.label is None else [f"label={which.label!r}"]
    lines += [
        f"with Client({server.address!r}) as client:",
        f"    answer = client.predict({', '.join(arguments)})",
        "print(answer.version, dict(answer))",
    ]
    return "\n".join(lines)


def _command(
    server: Server,
    model: str,
    which: Which,
    signature: str,
    columns: Mapping[str, Any],
    files: Mapping[str, list[str]],
    *,
    is_long: bool,
) -> str:
    at = which.version if which.version is not None else which.label
    words = ["modelport", "predict", model if at is None else f"{model}@{at}"]
    if files:
        if len(columns) > 1:
            return "# modelport predict takes files for a signature of one input; use Python."
        [names] = files.values()
        words += ["--image", *(name or _DRAWING for name in names)]
    else:
        words += ["--input", "@inputs.json" if is_long else json.dumps(columns)]
    words += ["--signature", signature, "--server", server.address]
    return shlex.join(words)


def _json(value: Any) -> Any:
    """As JSON of the API."""
    if isinstance(value, np.ndarray):
        return _json(value.tolist())
    if isinstance(value, list):
        return [_json(one) for one in value]
    return {"b64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


class _Source(str):
    """Text that stands in a line of Python as it is."""

    def __repr__(self) -> str:
        return str(self)


def _python_value(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return _python_value(value.tolist())
    if isinstance(value, list):
        return [_python_value(one) for one in value]
    return _Source(f'b64decode("{base64.b64encode(value).decode()}")') if isinstance(value, bytes) else value


def _has_bytes(value: Any) -> bool:
    return isinstance(value, bytes) or (isinstance(value, list) and any(map(_has_bytes, value)))
