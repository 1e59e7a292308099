"""A .keras file: whether it can be loaded here, by what it says of itself. Nothing of it is run."""

from __future__ import annotations

import importlib.metadata
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from modelport_release.doctor.finding import Finding

_MOST_BYTES = 64 * 2**20  # of a model's configuration


def check(path: Path) -> Iterator[Finding]:
    """The version of Keras that wrote it, Lambda layers, and classes of one's own."""
    try:
        with zipfile.ZipFile(path) as archive:
            metadata = _read(archive, "metadata.json")
            config = _read(archive, "config.json")
    except (zipfile.BadZipFile, KeyError, TypeError, ValueError, OSError) as error:
        yield Finding("error", str(path), f"It is no whole .keras file ({error}).", "Save the model again.")
        return
    made, installed = str(metadata.get("keras_version", "")), _installed()
    if installed and _numbers(made) > _numbers(installed):
        yield Finding(
            "error",
            str(path),
            f"It was saved by Keras {made}; {installed} is installed here and may not read it.",
            f"pip install 'keras>={made}', or save it with Keras {installed}.",
        )
    custom: set[str] = set()
    for layer in _layers(config):
        if layer.get("class_name") == "Lambda" and _is_of_keras(layer):
            name = layer.get("config", {}).get("name", "")
            yield Finding(
                "error",
                str(path),
                f"The layer {name!r} is a Lambda: Python code that runs when the file is loaded.",
                "Write it as a layer class, or publish with --allow-lambda if you trust where it is from.",
            )
        elif not _is_of_keras(layer):
            custom.add(f"{layer.get('module') or layer.get('registered_name')}:{layer['class_name']}")
    for name in sorted(custom):
        module, _, kind = name.partition(":")
        yield Finding(
            "warning",
            str(path),
            f"{kind} is a class of its own, which has to be registered before the file is loaded.",
            f"modelport publish {path} --import MODULE, the module that has it"
            + (f" (it was saved from {module})." if module and ">" not in module else "."),
        )


def _layers(value: Any) -> Iterator[dict[str, Any]]:
    """Every serialised object that has a class."""
    if isinstance(value, dict):
        if isinstance(value.get("class_name"), str) and "config" in value:
            yield value
        for one in value.values():
            yield from _layers(one)
    elif isinstance(value, list):
        for one in value:
            yield from _layers(one)


def _is_of_keras(layer: dict[str, Any]) -> bool:
    module = layer.get("module")
    if module in ("builtins", None):
        return layer.get("registered_name") in (None, layer["class_name"]) or layer["class_name"].startswith("__")
    return str(module).split(".")[0] in ("keras", "keras_hub", "tensorflow", "numpy")


def _read(archive: zipfile.ZipFile, name: str) -> dict[str, Any]:
    if archive.getinfo(name).file_size > _MOST_BYTES:
        raise ValueError(f"{name} is larger than {_MOST_BYTES:,} bytes")
    found = json.loads(archive.read(name))
    if not isinstance(found, dict):
        raise TypeError(f"{name} is no object")
    return found


def _installed() -> str:
    try:
        return importlib.metadata.version("keras")
    except importlib.metadata.PackageNotFoundError:
        return ""


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2])
