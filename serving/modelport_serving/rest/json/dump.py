"""JSON values as error texts show them: pretty printed, arrays on one line, cut between values at about 256 bytes."""

from __future__ import annotations

from math import isfinite
from typing import Any

from modelport.errors import InvalidArgument
from modelport_serving.rest.json.strings import quoted

_ROOM = 256  # once this much is written, nothing follows
_INDENT = b"    "
_WORDS = {True: b"true", False: b"false", None: b"null"}


def dump(value: Any) -> str:
    """Print a parsed value as RapidJSON's PrettyWriter does.

    Numbers that JSON cannot hold (NaN, Infinity) end the text where they would stand, as in the real server. Bytes
    that are no UTF-8 become lone surrogates, which `encode_error` turns back into the bytes.
    """
    out = bytearray()
    _write(value, 0, out)
    return out.decode("utf-8", "surrogateescape")


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


def _write(value: Any, depth: int, out: bytearray) -> bool:
    """Append a value; False when the text ends here, as it does at the latest when so many brackets are open."""
    if depth >= _ROOM:
        return False
    if isinstance(value, dict):
        out += b"{"
        for index, (name, member) in enumerate(value.items()):
            out += b",\n" if index else b"\n"
            out += _INDENT * (depth + 1) + quoted(name) + b": "
            if not _write(member, depth + 1, out):
                return False
        out += b"\n" + _INDENT * depth + b"}" if value else b"}"
    elif isinstance(value, list):
        out += b"["
        for index, item in enumerate(value):
            if index:
                out += b", "
            if not _write(item, depth + 1, out):
                return False
        out += b"]"
    elif isinstance(value, bytes):
        out += quoted(value)
    elif isinstance(value, float):
        if not isfinite(value):
            return False
        out += _double_text(value).encode()
    elif value is None or isinstance(value, bool):
        out += _WORDS[value]
    else:
        out += b"%d" % value
    return len(out) < _ROOM


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
