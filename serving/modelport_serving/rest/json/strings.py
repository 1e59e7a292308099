"""JSON strings as bytes: escaping on the way out, base64 objects on the way in."""

from __future__ import annotations

import binascii
import re
from typing import Any

from modelport.errors import InvalidArgument

BASE64_NAME = b"b64"

_SPECIAL = re.compile(rb'["\\\x00-\x1f]')
_SHORT = {b'"': b'\\"', b"\\": b"\\\\", b"\b": b"\\b", b"\f": b"\\f", b"\n": b"\\n", b"\r": b"\\r", b"\t": b"\\t"}
_WHITE_SPACE = b" \t\n\v\f\r"
_BASE64 = re.compile(rb"([A-Za-z0-9+/]*)([=.]*)")


def quoted(text: bytes) -> bytes:
    """A JSON string of these bytes. Only what must be escaped is; bytes that are no UTF-8 pass as they are."""
    return b'"' + _SPECIAL.sub(_escape, text) + b'"'


def is_base64_object(value: Any) -> bool:
    """Whether a parsed value is `{"b64": "..."}`, with that one name and a string."""
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get(BASE64_NAME), bytes)


def decode_base64(text: bytes) -> bytes:
    """Decode standard base64; white space is skipped, padding may be missing altogether.

    Raises:
        InvalidArgument: another alphabet, or padding of the wrong length.
    """
    match = _BASE64.fullmatch(text) or _BASE64.fullmatch(text.translate(None, _WHITE_SPACE))
    if match is None:
        raise InvalidArgument("Unable to base64 decode")
    digits, padding = match.groups()
    missing = -len(digits) % 4
    if missing == 3 or (padding and len(padding) != missing):
        raise InvalidArgument("Unable to base64 decode")
    return binascii.a2b_base64(digits + b"=" * missing)


def encode_base64(data: bytes) -> bytes:
    """Standard base64 with padding."""
    return binascii.b2a_base64(data, newline=False)


def _escape(match: re.Match[bytes]) -> bytes:
    return _SHORT.get(match[0]) or b"\\u%04X" % match[0][0]
