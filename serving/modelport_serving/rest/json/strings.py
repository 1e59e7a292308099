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
_PADDING = b"=."
_BASE64_DIGITS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_PIECE = 2**20  # bytes that are looked at without a turn for others; four base64 digits at a time fit into it


def quoted(text: bytes) -> bytes:
    """A JSON string of these bytes. Only what must be escaped is; bytes that are no UTF-8 pass as they are."""
    if len(text) <= _PIECE:
        return b'"' + _SPECIAL.sub(_escape, text) + b'"'
    pieces = [_SPECIAL.sub(_escape, text[at : at + _PIECE]) for at in range(0, len(text), _PIECE)]
    return b"".join([b'"', *pieces, b'"'])


def is_base64_object(value: Any) -> bool:
    """Whether a parsed value is `{"b64": "..."}`, with that one name and a string."""
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get(BASE64_NAME), bytes)


def decode_base64(text: bytes) -> bytes:
    """Decode standard base64; white space is skipped, padding may be missing altogether.

    Raises:
        InvalidArgument: another alphabet, or padding of the wrong length.
    """
    packed = text.translate(None, _WHITE_SPACE)
    digits = packed.rstrip(_PADDING)
    padding, missing = len(packed) - len(digits), -len(digits) % 4
    if missing == 3 or padding not in (0, missing) or digits.translate(None, _BASE64_DIGITS):
        raise InvalidArgument("Unable to base64 decode")
    whole = digits + b"=" * missing
    return b"".join([binascii.a2b_base64(whole[at : at + _PIECE]) for at in range(0, len(whole), _PIECE)])


def encode_base64(data: bytes) -> bytes:
    """Standard base64 with padding."""
    return binascii.b2a_base64(data, newline=False)


def _escape(match: re.Match[bytes]) -> bytes:
    return _SHORT.get(match[0]) or b"\\u%04X" % match[0][0]
