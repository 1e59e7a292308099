"""An errand is one big request: while the probes ask it only sends and receives; what came of it is judged later."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from serving_peers.contestants import Ports

LONGEST_S = 120.0  # for one answer


@dataclass(frozen=True)
class Outcome:
    """What became of an errand.

    Args:
        size: bytes sent and received.
        fault: says what is wrong with the answer; None if nothing is.
    """

    size: int
    fault: Callable[[], str | None]


Errand = Callable[[Ports], Outcome]
