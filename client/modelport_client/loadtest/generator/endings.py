"""How calls end: the canonical code, the server's words, and the version that answered."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from modelport.errors import Code


class Ending(NamedTuple):
    """Of one call."""

    code: int
    message: str = ""
    version: int | None = None


Done = Callable[[int, float, Ending], None]
"""Called with the number of a call, the moment at which it ended (monotonic clock), and how."""


def no_answer(target: str, timeout_s: float, reason: str = "") -> Ending:
    """The end of a call whose time is over."""
    words = f"No answer from {target} within {timeout_s:g} s"
    return Ending(Code.DEADLINE_EXCEEDED, f"{words}: {reason}" if reason else f"{words}.")


def refused(target: str, code: int, details: str) -> Ending:
    """The end of a call with an error of the server."""
    if code == Code.CANCELLED:  # we cancel nothing: what a server does with calls that meet its end
        return Ending(Code.UNAVAILABLE, f"The connection to {target} was closed: {details}")
    return Ending(code, details)


def answered(answer: bytes, version_of: Callable[[bytes], int | None]) -> Ending:
    """The end of a call that was answered with OK."""
    try:
        return Ending(Code.OK, "", version_of(answer))
    except ValueError as error:
        return Ending(Code.INTERNAL, f"Expected a PredictResponse. Received: {answer[:20]!r} ({error})")
