"""All that is known at one moment, for every page and viewer; never changed once it is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from modelport_client import VersionState
from modelport_console.watching.asking import Told
from modelport_console.watching.published import Published

AVAILABLE = "AVAILABLE"


@dataclass(frozen=True)
class AtServer:
    """A model as one server tells it.

    Args:
        address: of the server.
        states: its versions, the highest first.
        fault: why nothing is known; empty where something is.
    """

    address: str
    states: Sequence[VersionState] = ()
    fault: str = ""

    @property
    def available(self) -> list[int]:
        """The versions that answer, the highest first."""
        return [one.version for one in self.states if one.state == AVAILABLE]

    def why_not_ready(self, live: int | None) -> str:
        """Why requests without version or label do not get the answer that they should; empty where they do."""
        if self.fault:
            return self.fault
        for one in self.states:
            if one.version == live and one.state != AVAILABLE:
                return _sentence(one)
        if not self.available:
            failed = next((one for one in self.states if one.message), None)
            return _sentence(failed) if failed is not None else "No version is available."
        if live is not None and live not in self.available:
            return f"Version {live} is live by the configuration; the server does not know it yet."
        return ""


@dataclass(frozen=True)
class Snapshot:
    """One look.

    Args:
        number: counts the looks.
        wall: when, in seconds of the clock on the wall.
        models: names, sorted: those of the repository, and those asked for.
        published: what the repository says of a model.
        repository_fault: what is wrong with all of the repository.
        told: server → what it said, in the order of the command line.
    """

    number: int = 0
    wall: float = 0.0
    models: Sequence[str] = ()
    published: Mapping[str, Published] = field(default_factory=dict)
    repository_fault: str = ""
    told: Mapping[str, Told] = field(default_factory=dict)

    def of(self, model: str) -> Published:
        """What is published of a model; nothing of one that is served only."""
        return self.published.get(model, Published())

    def states(self, address: str, model: str) -> Sequence[VersionState]:
        """What a server says of the versions of a model; nothing where it says nothing."""
        told = self.told.get(address)
        return () if told is None else told.states.get(model, ())

    def at_servers(self, model: str) -> list[AtServer]:
        """The model at each server."""
        return [_at(address, model, told) for address, told in self.told.items()]

    def differs(self, model: str) -> bool:
        """Whether servers that answer say different things of a model."""
        seen = {
            frozenset((one.version, one.state) for one in told.states.get(model, ()) if one.state != "END")
            for told in self.told.values()
            if not told.fault
        }
        return len(seen) > 1


def _at(address: str, model: str, told: Told) -> AtServer:
    states = told.states.get(model)
    if told.fault or model in told.faults:
        return AtServer(address, (), told.fault or told.faults[model])
    return AtServer(address, (), "It does not serve this model.") if states is None else AtServer(address, states)


def _sentence(one: VersionState) -> str:
    said = one.message.partition("\n")[0][:300]
    if one.state == "END" and said:
        return f"Version {one.version} did not load: {said}"
    return f"Version {one.version} is {one.state}" + (f": {said}" if said else ".")
