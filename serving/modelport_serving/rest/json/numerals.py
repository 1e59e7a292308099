"""JSON number literals → int or float.

Integers of up to 64 bits stay integers; longer ones, and all with a fraction or an exponent, become the nearest double.
What is refused, and the texts, are RapidJSON's; the real server reads without full precision, and may be some units in
the last place off.
"""

from __future__ import annotations

import re
from math import inf, isinf, nan

from modelport_serving.rest.json.content import Content, has
from modelport_serving.rest.json.parse_errors import (
    INVALID_VALUE,
    MISSING_EXPONENT,
    MISSING_FRACTION,
    NUMBER_TOO_BIG,
    literal_error,
    parse_error,
)

_NUMBER = re.compile(rb"(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?")
_UINT64_MAX = 2**64 - 1
_INT64_MAGNITUDE = 2**63
_UINT64_DIGITS = 20


def read_number(body: Content, start: int) -> tuple[int | float, int]:
    """Read the number that begins at `start`; NaN, Inf and Infinity count, with or without a minus.

    Returns:
        The value and the offset behind it.

    Raises:
        InvalidArgument: no number begins there, or it is too big for a double.
    """
    match = _NUMBER.match(body, start)
    if match is None:
        return _read_non_finite(body, start)
    end = match.end()
    sign, integer, fraction, exponent = match.groups()
    follows = body[end : end + 1]
    if exponent is None and follows in (b"e", b"E"):
        signed = body[end + 1 : end + 2] in (b"+", b"-")
        raise parse_error(MISSING_EXPONENT, end + 1 + signed)
    if fraction is None and exponent is None:
        if follows == b".":
            raise parse_error(MISSING_FRACTION, end + 1)
        if len(integer) <= _UINT64_DIGITS:
            value = int(integer)
            if value <= (_INT64_MAGNITUDE if sign else _UINT64_MAX):
                return -value if sign else value, end
    number = float(match[0])
    if isinf(number):
        raise parse_error(NUMBER_TOO_BIG, start)
    return number, end


def _read_non_finite(body: Content, start: int) -> tuple[float, int]:
    minus = body[start : start + 1] == b"-"
    first = start + minus
    if body[first : first + 1] == b"N":
        if not has(body, b"NaN", first):
            raise literal_error(body, first, b"NaN")
        return nan, first + 3
    if body[first : first + 1] != b"I":
        raise parse_error(INVALID_VALUE, first)
    literal = b"Infinity" if body[first + 3 : first + 4] == b"i" else b"Inf"
    if not has(body, literal, first):
        raise literal_error(body, first, literal)
    return (-inf if minus else inf), first + len(literal)
