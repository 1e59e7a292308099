"""The verdict on one signature."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Verdict:
    """Whether rows are independent.

    Attributes:
        independent: whether they are.
        reason: what that rests on or what objects, for a person.
        loop_free: whether the time of a run follows from the shapes; False where rows are not independent.
    """

    independent: bool
    reason: str
    loop_free: bool = False
