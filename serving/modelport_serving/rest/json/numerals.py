"""JSON number literals → int or float, digit for digit as RapidJSON 1.1 reads them without full precision.

Integers of up to 64 bits stay integers; longer ones, and all with a fraction or an exponent, become doubles. Literals
of up to 15 digits and small exponents round correctly either way and are left to Python; the rest follow RapidJSON's
arithmetic (`GenericReader::ParseNumber`, `StrtodNormalPrecision`), which may be a few units in the last place off.
"""

from __future__ import annotations

import re
from math import inf, nan

from modelport_serving.rest.json.parse_errors import (
    INVALID_VALUE,
    MISSING_EXPONENT,
    MISSING_FRACTION,
    NUMBER_TOO_BIG,
    literal_error,
    parse_error,
)

_NUMBER = re.compile(rb"(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?")
_EXACT_LENGTH = 16  # bytes of a literal without exponent: at most 15 digits and a point, so both factors are exact
_UINT64_MAX = 2**64 - 1
_INT64_MAGNITUDE = 2**63
_SIGNIFICAND_MAX = 2**53 - 1
_DIGITS_KEPT = 17
_LARGEST_TENTH = 1.7976931348623157e307
_LARGEST_EXPONENT = 308


def read_number(body: bytes, start: int) -> tuple[int | float, int]:
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
    if exponent is None and (follows in (b"e", b"E")):
        signed = body[end + 1 : end + 2] in (b"+", b"-")
        raise parse_error(MISSING_EXPONENT, end + 1 + signed)
    if fraction is None and exponent is None:
        if follows == b".":
            raise parse_error(MISSING_FRACTION, end + 1)
        if len(integer) <= 20:
            value = int(integer)
            if value <= (_INT64_MAGNITUDE if sign else _UINT64_MAX):
                return -value if sign else value, end
    elif exponent is None and end - start <= _EXACT_LENGTH:
        return float(match[0]), end
    magnitude = _to_double(integer, fraction or b"", exponent or b"", bool(sign), start)
    return -magnitude if sign else magnitude, end


def _read_non_finite(body: bytes, start: int) -> tuple[float, int]:
    minus = body[start : start + 1] == b"-"
    first = start + minus
    if body[first : first + 1] == b"N":
        if not body.startswith(b"NaN", first):
            raise literal_error(body, first, b"NaN")
        return nan, first + 3
    if body[first : first + 1] != b"I":
        raise parse_error(INVALID_VALUE, first)
    literal = b"Infinity" if body[first + 3 : first + 4] == b"i" else b"Inf"
    if not body.startswith(literal, first):
        raise literal_error(body, first, literal)
    return (-inf if minus else inf), first + len(literal)


def _to_double(integer: bytes, fraction: bytes, exponent: bytes, minus: bool, start: int) -> float:
    digits = _longest_64_bit_prefix(integer, minus)
    significant = digits - 1
    whole = int(integer[:digits])
    scale = 0  # of the fraction's digits that entered `value`, as a power of ten
    if digits < len(integer):
        value = float(whole)
        for digit in integer[digits:]:
            if value >= _LARGEST_TENTH:
                raise parse_error(NUMBER_TOO_BIG, start)
            value = value * 10.0 + (digit - 0x30)
    else:
        taken = 0
        while taken < len(fraction) and whole <= _SIGNIFICAND_MAX:
            whole = whole * 10 + (fraction[taken] - 0x30)
            taken += 1
            significant += whole != 0
        value = float(whole)
        scale = -taken
        fraction = fraction[taken:]
    for digit in fraction:
        if significant >= _DIGITS_KEPT:
            break
        value = value * 10.0 + (digit - 0x30)
        scale -= 1
        significant += value > 0.0
    power = _exponent(exponent, scale, start)
    return _scaled(value, power + scale)


def _longest_64_bit_prefix(integer: bytes, minus: bool) -> int:
    """How many leading digits fit an int64 (with a minus) or uint64 (without)."""
    limit = _INT64_MAGNITUDE if minus else _UINT64_MAX
    digits = min(len(integer), 20)
    while int(integer[:digits]) > limit:
        digits -= 1
    return digits


def _exponent(text: bytes, scale: int, start: int) -> int:
    if not text:
        return 0
    # Whatever the value, an exponent of more than nine digits is out of range; int() need not see all of them.
    digits = text.lstrip(b"+-").lstrip(b"0")
    magnitude = int(digits[:10] or b"0")
    if text.startswith(b"-"):
        return -magnitude
    if magnitude > _LARGEST_EXPONENT - scale:
        raise parse_error(NUMBER_TOO_BIG, start)
    return magnitude


def _scaled(value: float, power: int) -> float:
    if power >= 0:
        return value * float(f"1e{power}")
    if power < -_LARGEST_EXPONENT:  # in two steps, because 10 ** -power is no double
        value /= 1e308
        power += _LARGEST_EXPONENT
        if power < -_LARGEST_EXPONENT:
            return 0.0
    return value / float(f"1e{-power}")
