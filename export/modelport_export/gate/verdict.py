"""The verdict: what was checked, what came of it, in a sentence each, and what follows."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from modelport.errors import Refused

Outcome = Literal["passed", "reported", "warning", "refused"]


@dataclass(frozen=True)
class Check:
    """One check.

    Args:
        name: contract, parity, quality, cost or warm.
        outcome: refused keeps the version from being published; reported is neither good nor bad.
        sentence: in plain words.
        bound: what it was held against; empty where nothing was.
        figures: that were measured.
    """

    name: str
    outcome: Outcome
    sentence: str
    bound: str = ""
    figures: Mapping[str, Any] = field(default_factory=dict)


def decide(checks: Sequence[Check], force: str | None, model: str) -> dict[str, Any]:
    """The verdict for the manifest.

    Args:
        checks: all of them.
        force: why the version is published whatever they say; None for no force.
        model: its name.

    Raises:
        Refused: a check refuses, and nobody forces; the message has every reason.
    """
    reasons = [check.sentence for check in checks if check.outcome == "refused"]
    if reasons and force is None:
        raise Refused(
            f"Refused by the gate: this version of {model!r} is not published. {' '.join(reasons)} To publish it all "
            'the same: --force "why".',
            [dataclasses.asdict(check) for check in checks],
        )
    return {"checks": [dataclasses.asdict(check) for check in checks], "forced": force if reasons else None}
