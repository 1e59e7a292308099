"""The next thing to do with a model's versions: a pure function of their snapshots.

The rule is the real server's availability-preserving policy (`availability_preserving_policy.cc`): a new version is
loaded before an old one is unloaded, and an old one goes only when an aspired one answers, or nothing is aspired, or
more than one old one is left.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto

from modelport_serving.core.servable_state import ServableId


class Phase(Enum):
    """Where the manager is with a version; finer than the state that the API shows."""

    NEW = auto()
    LOADING = auto()
    READY = auto()
    UNLOADING = auto()
    ENDED = auto()


@dataclass(frozen=True)
class Snapshot:
    """What the policy sees of a version."""

    servable: ServableId
    phase: Phase
    aspired: bool


@dataclass(frozen=True)
class Load:
    """Load this version now."""

    servable: ServableId


@dataclass(frozen=True)
class Unload:
    """Stop handing out this version, then free it."""

    servable: ServableId


Action = Load | Unload


def next_action(versions: Iterable[Snapshot]) -> Action | None:
    """Decide for the versions of one model; None when there is nothing to do."""
    ordered = sorted(versions, key=lambda snapshot: snapshot.servable.version)
    aspired = [snapshot for snapshot in ordered if snapshot.aspired]
    retiring = [snapshot for snapshot in ordered if not snapshot.aspired and snapshot.phase is Phase.READY]
    one_answers = any(snapshot.phase is Phase.READY for snapshot in aspired)
    if retiring and (not aspired or one_answers or len(retiring) > 1):
        return Unload(retiring[0].servable)
    fresh = [snapshot for snapshot in aspired if snapshot.phase is Phase.NEW]
    return Load(fresh[-1].servable) if fresh else None
