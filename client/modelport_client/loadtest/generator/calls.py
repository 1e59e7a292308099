"""What one process notes of its calls, in a few numbers each."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from modelport_client.loadtest.generator.endings import Ending

UNENDED = -1


class Calls:
    """Grows with each call: 30 bytes of it.

    A call's number is its place. Moments are those of the monotonic clock, which all processes of a machine share.
    """

    def __init__(self) -> None:
        self.due = array("d")
        self.sent = array("d")
        self.ended = array("d")
        self.ending = array("i")
        self.held = array("b")
        self._known: dict[Ending, int] = {}

    def begin(self, due: float) -> int:
        """A call is due; its number."""
        self.due.append(due)
        self.sent.append(0.0)
        self.ended.append(0.0)
        self.ending.append(UNENDED)
        self.held.append(0)
        return len(self.due) - 1

    def end(self, call: int, now: float, ending: Ending) -> None:
        """A call has ended."""
        self.ended[call] = now
        self.ending[call] = self._known.setdefault(ending, len(self._known))

    @property
    def endings(self) -> list[Ending]:
        """All kinds of them, in the order of their numbers."""
        return list(self._known)


@dataclass
class Share:
    """What one process did, as it tells it.

    Args:
        begin: the moment from which on requests count.
        end: the moment at which no more were due.
        due, sent, ended, ending, held: of each call; see `Calls`. `sent` is 0 for those that never were.
        endings: what the numbers in `ending` mean.
        cpu_s: processor time from `begin` to `end`.
        starved_s: how long in that time the process waited for a processor; None where the system does not tell.
        retried: calls that were asked for again.
        most_under_way: at a time.
        sender: by what it was sent.
    """

    begin: float
    end: float
    due: Any = field(repr=False)
    sent: Any = field(repr=False)
    ended: Any = field(repr=False)
    ending: Any = field(repr=False)
    held: Any = field(repr=False)
    endings: list[Ending]
    cpu_s: float
    starved_s: float | None
    retried: int
    most_under_way: int
    sender: str

    @staticmethod
    def columns(calls: Calls) -> dict[str, Any]:
        """The calls as numpy arrays."""
        return {
            "due": np.array(calls.due),
            "sent": np.array(calls.sent),
            "ended": np.array(calls.ended),
            "ending": np.array(calls.ending, np.int32),
            "held": np.array(calls.held, np.bool_),
        }
