"""Changing one model in a ModelServerConfig text, everything else left as its author wrote it, comments included.

The text is cut into tokens; the fields to change are taken out of the model's block and written anew at its end. What
comes out is parsed and compared with what was meant, so a text that this reading does not understand is refused rather
than damaged.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from modelport import atomic
from modelport.errors import FailedPrecondition, InvalidArgument, NotFound
from modelport.serverconfig.models import ModelConfig, ServerConfig, format_labels, format_policy, parse_models
from modelport.serverconfig.text import read

_TOKEN = re.compile(r"""(?P<space>(?:\s+|\#[^\n]*)+)|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[\w.+-]+|.""", re.DOTALL)
_OPEN, _CLOSE = "{<[", "}>]"
_CHANGED = ("model_version_policy", "version_labels")


class _Token(NamedTuple):
    text: str
    begin: int
    end: int


def change_model(text: str, model: ModelConfig, source: str = "the text") -> str:
    """The text with the policy and the labels of the model of that name replaced; lines that end in CRLF still do.

    Raises:
        NotFound: no model of that name is in the text; the message lists those that are.
        FailedPrecondition: the text is written in a way that cannot be changed safely.
    """
    if "\r\n" in text and text.count("\n") == text.count("\r\n"):
        return change_model(text.replace("\r\n", "\n"), model, source).replace("\n", "\r\n")
    before = parse_models(text, source)
    models = list(before.models or ())
    index = models.index(model_of(before, model.name, source))
    models[index] = model
    begin, end = _block(text, index, source)
    changed = text[:begin] + _rewritten(text[begin:end], model) + text[end:]
    with contextlib.suppress(InvalidArgument):
        if parse_models(changed, source) == ServerConfig(tuple(models)):
            return changed
    raise _not_understood(source)


def add_model(text: str, model: ModelConfig, source: str = "the text") -> str:
    """The text with another model at the end of its list; a text without a list gets one.

    Raises:
        FailedPrecondition: the text is written in a way that cannot be changed safely.
    """
    before = parse_models(text, source)
    block = (
        f'  config {{\n    name: "{model.name}"\n    base_path: "{model.base_path}"\n'
        f'    model_platform: "{model.platform}"\n'
        f"    model_version_policy {{ {format_policy(model.policy)} }}\n  }}\n"
    )
    if before.models is None:
        changed = f"{text}model_config_list {{\n{block}}}\n"
    else:
        ends = [token for token in _tokens(text) if token.text in _CLOSE]
        if not ends:
            raise _not_understood(source)
        place = ends[-1].begin
        begin = text[:place].rstrip(" \t")
        changed = f"{begin}{'' if begin.endswith(chr(10)) else chr(10)}{block}{text[place:]}"
    with contextlib.suppress(InvalidArgument):
        if parse_models(changed, source) == ServerConfig((*(before.models or ()), model)):
            return changed
    raise _not_understood(source)


def change_file(path: Path, model: ModelConfig) -> None:
    """`change_model` on a file, replaced in one step."""
    replace_text(path, change_model(read(path), model, repr(str(path))))


def replace_text(path: Path, text: str) -> None:
    """Replace a file in one step: a server that reads it meanwhile sees the old text or the new one, never a part.

    A byte-order mark that was there goes, because the real server does not take one.
    """
    atomic.write_text(path, text)


def model_of(config: ServerConfig, name: str, source: str) -> ModelConfig:
    """The model of that name. Raises NotFound, with the names that are there."""
    for model in config.models or ():
        if model.name == name:
            return model
    names = ", ".join(model.name for model in config.models or ()) or "none"
    raise NotFound(f"Expected a model of {source} ({names}). Received: {name!r}")


def _block(text: str, index: int, source: str) -> tuple[int, int]:
    """Where the inside of the index-th `config { … }` begins and ends."""
    depth, seen, begin, previous = 0, -1, -1, ""
    for token in _tokens(text):
        if token.text in _OPEN:
            depth += 1
            if depth == 2 and previous == "config":
                seen += 1
                begin = token.end
        elif token.text in _CLOSE:
            if depth == 2 and seen == index and begin >= 0:
                return begin, token.begin
            depth -= 1
        previous = token.text if token.text != ":" else previous
    raise _not_understood(source)


def _rewritten(block: str, model: ModelConfig) -> str:
    """The inside of a model's block without the fields that change, and with their new values at its end."""
    kept, position, depth, cut = [], 0, 0, -1
    for token in _tokens(block):
        if token.text in _OPEN:
            depth += 1
        elif token.text in _CLOSE:
            depth -= 1
            if depth == 0 and cut >= 0:
                piece = block[position:cut].rstrip(" \t")
                is_line = piece.endswith("\n") and block[token.end :].lstrip(" \t").startswith("\n")
                kept.append(piece[:-1] if is_line else piece)
                position, cut = token.end, -1
        elif depth == 0 and token.text in _CHANGED:
            cut = token.begin
    rest = "".join([*kept, block[position:]]).rstrip()
    indent = "".join(re.findall(r"\n([ \t]+)\S", rest)[:1]) or "    "
    lines = [f"model_version_policy {{ {format_policy(model.policy)} }}", *format_labels(model.labels)]
    return rest + "".join(f"\n{indent}{line}" for line in lines) + "\n" + indent[: len(indent) // 2]


def _tokens(text: str) -> Iterator[_Token]:
    for match in _TOKEN.finditer(text):
        if match.lastgroup != "space":
            yield _Token(match[0], *match.span())


def _not_understood(source: str) -> FailedPrecondition:
    return FailedPrecondition(
        f"Expected {source} in the form `model_config_list {{ config {{ … }} }}`. It is written in another way and was "
        "left as it is: change it by hand."
    )
