"""JSON values as error texts show them: pretty printed, arrays on one line, cut between values at about 256 bytes."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite
from typing import Any

from modelport.errors import InvalidArgument
from modelport_serving.rest_json.strings import quoted

_ROOM = 256  # once this much is written, nothing follows
_INDENT = b"    "


def dump(value: Any) -> str:
    """Print a parsed value as RapidJSON's PrettyWriter does.

    Numbers that JSON cannot hold (NaN, Infinity) end the text where they would stand, as in the real server. Bytes
    that are no UTF-8 become lone surrogates, which `encode_error` turns back into the bytes.
    """
    pieces = []
    size = 0
    for piece in _pieces(value, 0):
        pieces.append(piece)
        size += len(piece)
        if size >= _ROOM:
            break
    return b"".join(pieces).decode("utf-8", "surrogateescape")


def type_name(value: Any) -> str:
    """The name of a JSON value's type in error texts."""
    if value is None:
        return "Null"
    if isinstance(value, bool):
        return "True" if value else "False"
    if isinstance(value, dict):
        return "Object"
    if isinstance(value, list):
        return "Array"
    return "String" if isinstance(value, bytes) else "Number"


def value_error(value: Any, text: str) -> InvalidArgument:
    """The error that shows a JSON value and says what is wrong with it."""
    return InvalidArgument(f"JSON Value: {dump(value)} {text}")


class _NotJson(Exception):
    """A number without a JSON spelling was met: the text ends."""


def _pieces(value: Any, depth: int) -> Iterator[bytes]:
    try:
        yield from _walk(value, depth)
    except _NotJson:
        return


def _walk(value: Any, depth: int) -> Iterator[bytes]:
    if isinstance(value, dict):
        yield b"{"
        pad = b"\n" + _INDENT * (depth + 1)
        for index, (name, member) in enumerate(value.items()):
            yield b"," * (index > 0) + pad + quoted(name) + b": "
            yield from _walk(member, depth + 1)
        yield b"\n" + _INDENT * depth + b"}" if value else b"}"
    elif isinstance(value, list):
        yield b"["
        for index, item in enumerate(value):
            if index:
                yield b", "
            yield from _walk(item, depth + 1)
        yield b"]"
    elif isinstance(value, bytes):
        yield quoted(value)
    elif isinstance(value, float):
        if not isfinite(value):
            raise _NotJson
        yield _double_text(value).encode()
    else:
        yield {True: b"true", False: b"false", None: b"null"}.get(value) if value is None or isinstance(
            value, bool
        ) else b"%d" % value


def _double_text(value: float) -> str:
    """RapidJSON's spelling of a double: shortest digits, a point up to 21 places, otherwise a bare exponent."""
    sign, digits, point = _decimal(value)
    if len(digits) <= point <= 21:
        text = digits + "0" * (point - len(digits)) + ".0"
    elif 0 < point <= 21:
        text = f"{digits[:point]}.{digits[point:]}"
    elif -6 < point <= 0:
        text = "0." + "0" * -point + digits
    else:
        mantissa = digits if len(digits) == 1 else f"{digits[0]}.{digits[1:]}"
        text = f"{mantissa}e{point - 1}"
    return sign + text


def _decimal(value: float) -> tuple[str, str, int]:
    """Sign, shortest digits and the place of the point: 0.<digits> times ten to that power."""
    mantissa, _, exponent = f"{value!r}".partition("e")
    sign = "-" if mantissa.startswith("-") else ""
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))
    return sign, digits.rstrip("0") or "0", point if digits.rstrip("0") else 1
