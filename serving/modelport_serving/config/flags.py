"""A command line in the form of `tensorflow_model_server` → `Options`.

`--name=value` as the real server has it, and `--name value` too. Where the real server ignores an unknown flag, a
mistyped one is refused here, with the nearest name: starting with a setting silently lost helps nobody.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Sequence
from typing import Any

from modelport.errors import InvalidArgument
from modelport_serving.config.options import AUTO, Options

_FIELDS = {field.name: field for field in dataclasses.fields(Options)}
_PORTS = ("port", "rest_api_port")
_MAX_PORT = 65535


def parse(argv: Sequence[str]) -> Options:
    """Read a command line; of a flag given twice the last one counts.

    Raises:
        InvalidArgument: an unknown flag, a value of the wrong type, or a word that is no flag.
    """
    values: dict[str, Any] = {}
    words = list(argv)
    while words:
        word = words.pop(0)
        if not word.startswith("-") and "model_repository" not in values:
            word = f"--model_repository={word}"
        if not word.startswith("--"):
            raise InvalidArgument(f"Expected flags of the form --name=value. Received: {word!r}")
        name, has_value, text = word[2:].partition("=")
        field = _FIELDS.get(name)
        if field is None:
            near = difflib.get_close_matches(name, _FIELDS, 1, 0.5)
            hint = f" Did you mean --{near[0]}?" if near else ""
            raise InvalidArgument(f"Unknown flag --{name}.{hint} 'modelport serve --help' lists all.")
        if not has_value:
            if field.type == "bool":
                text = "true"
            elif words and not words[0].startswith("--"):
                text = words.pop(0)
            else:
                raise InvalidArgument(f"Expected a value for --{name}: --{name}=<{_kind(str(field.type))}>")
        values[name] = _convert(name, str(field.type), text)
    options = Options(**values)
    for name in options.given():
        if reason := _FIELDS[name].metadata["refused"]:
            raise InvalidArgument(f"--{name} is not supported by the embedded server: {reason}.")
    return options


def named(argv: Sequence[str]) -> set[str]:
    """The names of the flags on a command line, those that are given their default included."""
    return {word[2:].partition("=")[0] for word in argv if word.startswith("--")}


def unused_notes(options: Options) -> list[str]:
    """One line for each given flag that changes nothing here."""
    return [
        f"--{name} is accepted and has no effect: {_FIELDS[name].metadata['unused']}."
        for name in options.given()
        if _FIELDS[name].metadata["unused"]
    ]


def help_text() -> str:
    """All flags with type, default and meaning."""
    lines = [
        "usage: modelport serve REPOSITORY [--port=8500] [--rest_api_port=8501] …",
        "       modelport serve [--container] --model_name=NAME --model_base_path=/models/NAME …",
        "       modelport serve [--container] --model_config_file=FILE …",
        "",
        "  --container",
        "      run tensorflow/serving in a Docker container instead of the embedded server, with the same flags; and",
        "      --image=NAME (SERVING_IMAGE), --volume=HOST:/CONTAINER (more to mount), --wait_seconds=N (120)",
        "",
    ]
    silent = []
    for name, field in _FIELDS.items():
        if field.metadata["unused"]:
            silent.append(name)
        if not field.metadata["help"]:
            continue
        default = (
            "auto" if field.default == AUTO else str(field.default).lower() if field.type == "bool" else field.default
        )
        own = " [modelport only]" if field.metadata["ours"] else ""
        lines += [
            f"  --{name}={_kind(str(field.type))} ({default!s}){own}".replace(" ()", ""),
            f"      {field.metadata['help']}",
        ]
    lines += ["", "Accepted without effect: " + ", ".join(silent) + ".", ""]
    return "\n".join(lines)


def _words(kind: str) -> list[str]:
    return re.findall(r"\w+", kind.removeprefix("Literal"))


def _kind(kind: str) -> str:
    """A field's type as the help shows it."""
    return "|".join(_words(kind)) if kind.startswith("Literal") else kind


def _convert(name: str, kind: str, text: str) -> Any:
    if kind == "str":
        return text
    if kind.startswith("Literal"):
        words = _words(kind)
        if text not in words:
            raise InvalidArgument(f"Expected --{name} to be one of {', '.join(words)}. Received: {text!r}")
        return text
    if kind == "bool":
        if text.lower() in ("true", "false"):
            return text.lower() == "true"
        raise InvalidArgument(f"Expected --{name}=true or --{name}=false. Received: {text!r}")
    if name in _PORTS and text == "auto":
        return AUTO
    try:
        number = int(text) if kind == "int" else float(text)
    except ValueError:
        raise InvalidArgument(f"Expected a number for --{name}. Received: {text!r}") from None
    if name in _PORTS and not 0 <= number <= _MAX_PORT:
        raise InvalidArgument(f"Expected --{name} from 0 to {_MAX_PORT}, or 'auto' for any free port. Received: {text}")
    return number
