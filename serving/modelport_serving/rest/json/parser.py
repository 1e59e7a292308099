"""JSON text → Python values, accepting and refusing what RapidJSON 1.1 does under TensorFlow Serving's flags.

Iterative, so that depth costs no stack; NaN and Infinity are numbers; reading stops behind the first value, whatever
follows; strings are bytes whose encoding is not looked at; of equal names the first one counts.

| JSON | Python |
|---|---|
| object, array | dict with bytes keys, list; or a `Run` |
| string | bytes |
| number | int where the literal is an integer of at most 64 bits, else float |
| true, false, null | True, False, None |
"""

from __future__ import annotations

import re
import time
from typing import Any

from modelport.errors import DeadlineExceeded, InvalidArgument
from modelport_serving.rest.json import numeric_runs
from modelport_serving.rest.json.content import Content, has
from modelport_serving.rest.json.numerals import read_number
from modelport_serving.rest.json.parse_errors import (
    BAD_ESCAPE,
    BAD_HEX,
    BAD_SURROGATE,
    EMPTY,
    INVALID_VALUE,
    MISSING_COLON,
    MISSING_COMMA_IN_ARRAY,
    MISSING_COMMA_IN_OBJECT,
    MISSING_NAME,
    MISSING_QUOTE,
    literal_error,
    parse_error,
)

_TOO_LATE = "Timed out while the request was being read"
_GLANCE = 2**14  # values between two looks at the clock: some ten milliseconds
_SHORT_STRING = 2**16  # bytes of a string without escapes that is read at once
_SPACE = re.compile(rb"[ \t\r\n]*")
_PLAIN_STRING = re.compile(rb'"([^"\\\x00-\x1f]{0,%d})"' % _SHORT_STRING)
_PLAIN_PART = re.compile(rb'[^"\\\x00-\x1f]{0,%d}' % _SHORT_STRING)
_HEX = re.compile(rb"[0-9A-Fa-f]{4}")
_LOW_SURROGATE = re.compile(rb"\\u([0-9A-Fa-f]{4})?")
_ESCAPES = dict(zip(b'"\\/bfnrt', (b'"', b"\\", b"/", b"\b", b"\f", b"\n", b"\r", b"\t"), strict=True))
_LITERALS: dict[bytes, tuple[bytes, bool | None]] = {
    b"t": (b"true", True),
    b"f": (b"false", False),
    b"n": (b"null", None),
}
_NO_VALUE = frozenset((b"", b"\0", b",", b":", b"]", b"}"))


class Impatient(Exception):
    """The text has more values than the caller wants to wait for."""


def parse(
    body: Content, max_depth: int, *, runs: bool, most: int | None = None, deadline: float | None = None
) -> tuple[Any, bool]:
    """Read the first JSON value of a body.

    Args:
        body: JSON text, perhaps behind a UTF-8 byte order mark.
        max_depth: how many arrays and objects may be open at once.
        most: values that may be read one at a time; None for any number.
        deadline: on the monotonic clock; None for none.
        runs: leave arrays of numbers in bulk, as `numeric_runs.Run`, where a member's value is one.

    Returns:
        The value, and whether there are runs in it.

    Raises:
        InvalidArgument: the text is no JSON, or nested too deep.
        Impatient: there are more than `most` values.
        DeadlineExceeded: the text could not be read in time.
    """
    if deadline is not None and time.monotonic() > deadline:
        raise DeadlineExceeded(_TOO_LATE)
    left = _GLANCE if most is None else most
    skip = _SPACE.match
    position = _end(skip, body, _behind_mark(body))
    outer: list[tuple[Any, bytes]] = []
    container: Any = None
    name = b""
    nothing = EMPTY  # what to say when no value begins at `position`
    any_run = False
    while True:
        left -= 1
        if left < 0:
            if most is not None:
                raise Impatient
            if deadline is not None and time.monotonic() > deadline:
                raise DeadlineExceeded(_TOO_LATE)
            left = _GLANCE
        first = body[position : position + 1]
        value: Any
        if first == b'"':
            value, position = _string(body, position, deadline)
        elif first in (b"{", b"["):
            run = None
            if first == b"[" and runs and container.__class__ is dict:
                run = numeric_runs.take(body, position)
            if run is not None:
                value, position = run, position + run.length
                any_run = True
            else:
                if len(outer) + (container is not None) >= max_depth:
                    raise _too_deep(max_depth, position)
                position = _end(skip, body, position + 1)
                if body[position : position + 1] == (b"}" if first == b"{" else b"]"):
                    value = {} if first == b"{" else []
                    position += 1
                else:
                    if container is not None:
                        outer.append((container, name))
                    nothing = INVALID_VALUE
                    if first == b"[":
                        container = []
                    else:
                        container = {}
                        name, position = _name(body, position)
                    continue
        elif first in _LITERALS:
            literal, value = _LITERALS[first]
            if not has(body, literal, position):
                raise literal_error(body, position, literal)
            position += len(literal)
        elif first in _NO_VALUE:
            raise parse_error(nothing, position)
        else:
            value, position = read_number(body, position)

        while container is not None:  # store the value; close what ends behind it
            is_array = container.__class__ is list
            if is_array:
                container.append(value)
            else:
                container.setdefault(name, value)
            position = _end(skip, body, position)
            follows = body[position : position + 1]
            if follows == b",":
                position = _end(skip, body, position + 1)
                if not is_array:
                    name, position = _name(body, position)
                break
            if follows != (b"]" if is_array else b"}"):
                raise parse_error(MISSING_COMMA_IN_ARRAY if is_array else MISSING_COMMA_IN_OBJECT, position)
            position += 1
            value = container
            container, name = outer.pop() if outer else (None, b"")
        if container is None:
            return value, any_run


def _end(skip: Any, body: Content, position: int) -> int:
    return skip(body, position).end()


def _behind_mark(body: Content) -> int:
    """The offset behind a byte order mark; each of its bytes is skipped if it is there, as RapidJSON does."""
    position = 0
    for byte in (0xEF, 0xBB, 0xBF):
        position += body[position : position + 1] == bytes((byte,))
    return position


def _name(body: Content, position: int) -> tuple[bytes, int]:
    """Read a member's name and its colon; returns the name and where the value begins."""
    if body[position : position + 1] != b'"':
        raise parse_error(MISSING_NAME, position)
    name, position = _string(body, position)
    position = _end(_SPACE.match, body, position)
    if body[position : position + 1] != b":":
        raise parse_error(MISSING_COLON, position)
    return name, _end(_SPACE.match, body, position + 1)


def _string(body: Content, start: int, deadline: float | None = None) -> tuple[bytes, int]:
    """Read the string whose quotation mark is at `start`; returns its bytes and the offset behind it."""
    plain = _PLAIN_STRING.match(body, start)
    if plain is not None:
        return plain[1], plain.end()
    parts: list[bytes] = []
    position = start + 1
    while True:
        if deadline is not None and parts and len(parts) % _GLANCE == 0 and time.monotonic() > deadline:
            raise DeadlineExceeded(_TOO_LATE)
        end = _end(_PLAIN_PART.match, body, position)
        parts.append(body[position:end])
        stop = body[end : end + 1]
        if end - position == _SHORT_STRING:  # there may be more, after a turn for others
            position = end
            continue
        if stop == b'"':
            return b"".join(parts), end + 1
        if stop != b"\\":
            raise parse_error(MISSING_QUOTE if stop in (b"", b"\0") else BAD_ESCAPE, end)
        escaped = body[end + 1 : end + 2]
        if escaped == b"u":
            character, position = _unicode_escape(body, end)
        elif escaped and escaped[0] in _ESCAPES:
            character, position = _ESCAPES[escaped[0]], end + 2
        else:
            raise parse_error(BAD_ESCAPE, end)
        parts.append(character)


def _unicode_escape(body: Content, start: int) -> tuple[bytes, int]:
    """Read `\\uXXXX`, or two of them that make a pair; a low surrogate alone passes, a high one does not."""
    digits = _HEX.match(body, start + 2)
    if digits is None:
        raise parse_error(BAD_HEX, start)
    code, end = int(digits[0], 16), digits.end()
    if 0xD800 <= code <= 0xDBFF:
        low = _LOW_SURROGATE.match(body, end)
        if low is None:
            raise parse_error(BAD_SURROGATE, start)
        if low[1] is None:
            raise parse_error(BAD_HEX, start)
        second = int(low[1], 16)
        if not 0xDC00 <= second <= 0xDFFF:
            raise parse_error(BAD_SURROGATE, start)
        code, end = 0x10000 + ((code - 0xD800) << 10) + (second - 0xDC00), low.end()
    return chr(code).encode("utf-8", "surrogatepass"), end


def _too_deep(max_depth: int, position: int) -> InvalidArgument:
    return InvalidArgument(
        f"Expected JSON with at most {max_depth} arrays and objects inside one another; received more at offset: "
        f"{position}. Send tensors as arrays of their rank."
    )
