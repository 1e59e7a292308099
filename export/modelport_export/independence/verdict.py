"""The verdict on one signature."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Verdict:
    """Whether rows are independent, and what that rests on or what objects; `reason` is for a person."""

    independent: bool
    reason: str
