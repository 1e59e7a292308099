"""A finding: what is wrong, where, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

WORST_FIRST = ("error", "warning")


@dataclass(frozen=True)
class Finding:
    """One finding.

    Args:
        level: an error keeps something from being served or answered; a warning is going to.
        where: a path, an address, a model.
        what: is wrong, in a sentence.
        do: what to type, or what to do.
    """

    level: Literal["error", "warning"]
    where: str
    what: str
    do: str

    def line(self) -> str:
        """For a terminal."""
        return f"{self.level.upper():<8} {self.where}: {self.what} {self.do}"


def in_order(found: list[Finding]) -> list[Finding]:
    """The worst first; equal ones stay in their order, and stand once."""
    return sorted(dict.fromkeys(found), key=lambda one: WORST_FIRST.index(one.level))
