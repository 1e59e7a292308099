"""One model: its versions beside each other, what the servers say of it, and what was done with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock

from jinja2 import Environment
from markupsafe import Markup

from modelport import history, layout, marks
from modelport.errors import ModelportError, NotFound
from modelport.history import Entry
from modelport.manifest import Manifest
from modelport.repository import Repository
from modelport_console.live.view import Cells, View
from modelport_console.settings import Settings
from modelport_console.views import overview, words
from modelport_console.watching.snapshot import AtServer, Snapshot
from modelport_console.watching.traffic import KEPT_S
from modelport_console.watching.watcher import Watcher
from modelport_release import comparing, listing
from modelport_release.listing import Version

_AROUND_S = 60.0  # before and after a change: what its p99 is taken over
_ENTRIES = 100  # of the history, the newest first
_KEPT_MODELS = 8  # whose versions are not read anew while nothing changes


@dataclass(frozen=True)
class Facts:
    """What the repository says of a model, read once until it changes.

    Args:
        versions: the newest first.
        intervals: version → sentences on its metrics beside the version that was live when it was published.
        reports: versions that have one.
        entries: its history, the newest first.
        quarantined: versions that no server sees.
        fault: what cannot be read.
    """

    versions: Sequence[Version] = ()
    intervals: Mapping[int, Sequence[str]] = field(default_factory=dict)
    reports: frozenset[int] = frozenset()
    entries: Sequence[Entry] = ()
    quarantined: Sequence[int] = ()
    fault: str = ""


class ModelPage:
    """Draws the page of one model."""

    def __init__(self, settings: Settings, watcher: Watcher, templates: Environment) -> None:
        self._settings, self._watcher, self._templates = settings, watcher, templates
        self._known: dict[str, tuple[object, Facts]] = {}
        self._lock = Lock()

    def draw(self, model: str, snapshot: Snapshot) -> View:
        """See `View`.

        Raises:
            NotFound: neither the repository nor a server has the model.
        """
        if model not in snapshot.models:
            known = ", ".join(snapshot.models[:10]) or "none"
            raise NotFound(f"Expected a model of the repository or of a server ({known}). Received: {model!r}")
        facts, places = self.facts(model, snapshot), snapshot.at_servers(model)
        published = snapshot.of(model)
        cells = Cells()
        overview.fill_traffic(cells, model, snapshot, self._watcher)
        cells[f"{model}|ready"] = overview.readiness(places, published.live)
        cells[f"{model}|live"] = overview.live_version(published, places)
        cells[f"{model}|differs"] = "The servers differ." if snapshot.differs(model) else ""
        numbers = sorted({one.number for one in facts.versions} | _served(places), reverse=True)
        for number in numbers:
            for place in places:
                cells[f"{place.address}|{number}"] = _state(place, number)
        for one in facts.versions:
            cells[f"age|{one.number}"] = listing.age(one.created) or words.NOTHING
        for index, entry in enumerate(facts.entries):
            cells[f"swap|{len(facts.entries) - index}"] = self._swap(model, entry, snapshot)
        template = self._templates.get_template("model_region.html")
        by_number = {one.number: one for one in facts.versions}
        hollow = template.render(
            model=model, facts=facts, by_number=by_number, numbers=numbers, published=published, places=places,
            settings=self._settings, has_page=_has_page(snapshot),
        )  # fmt: skip
        return View(hollow, cells)

    def facts(self, model: str, snapshot: Snapshot) -> Facts:
        """What the repository says of a model; nothing of one that is served only."""
        repository = self._settings.repository
        if repository is None or model not in snapshot.published:
            return Facts()
        stamp = snapshot.published[model].stamp
        with self._lock:
            known = self._known.get(model)
            if known is not None and known[0] == stamp:
                return known[1]
            found = _read(repository, model)
            self._known.pop(model, None)
            self._known[model] = stamp, found
            while len(self._known) > _KEPT_MODELS:
                del self._known[next(iter(self._known))]
            return found

    def _swap(self, model: str, entry: Entry, snapshot: Snapshot) -> str:
        """The p99 before a change and after it, where this console was there."""
        when = words.seconds_of(entry.when)
        if when is None or entry.action not in ("promote", "rollback", "label", "publish"):
            return ""
        if when < snapshot.wall - KEPT_S:
            return words.NOTHING
        seen = self._watcher.traffic(model)
        before, after = seen.between(when - _AROUND_S, when), seen.between(when, when + _AROUND_S)
        if before.p99_ms is None and after.p99_ms is None:
            return words.NOTHING
        return f"{words.milliseconds(before.p99_ms)} → {words.milliseconds(after.p99_ms)}"


def _read(repository: Repository, model: str) -> Facts:
    try:
        versions = listing.versions(repository, model)
        base = repository.base_path(model)
        reports = frozenset(
            one.number
            for one in versions
            if (repository.version_path(model, one.number) / layout.HTML_REPORT).is_file()
        )
        entries = list(reversed(history.read(base)))[:_ENTRIES]
        intervals = {one.number: _intervals(repository, model, one.number) for one in versions if not one.fault}
        return Facts(versions, intervals, reports, entries, marks.quarantined(base))
    except ModelportError as error:
        return Facts(fault=error.message)


def _intervals(repository: Repository, model: str, number: int) -> Sequence[str]:
    manifest = repository.read_manifest(model, number)
    if manifest is None or manifest.proof.get("live") is None:
        return ()
    # Of the other version its number is all that counts here: it may be gone.
    found = comparing.compare(Manifest(model, version=manifest.proof["live"]), manifest).intervals
    return [f"{metric} {_worse(manifest.proof['live'], low, high)}" for metric, (_, low, high) in found.items()]


def _worse(other: int, low: float, high: float) -> str:
    """How much worse it is than another version, with 95 % certainty."""
    if high <= 0:
        return f"better than {other} by {0 - high:.3g} to {0 - low:.3g}"
    if low >= 0:
        return f"worse than {other} by {low:.3g} to {high:.3g}"
    return f"than {other}: between {-low:.3g} better and {high:.3g} worse"


def _served(places: Sequence[AtServer]) -> set[int]:
    return {one.version for place in places for one in place.states if one.state != "END" or one.message}


def _state(place: AtServer, number: int) -> Markup:
    if place.fault:
        return Markup('<span class="state none" title="{}">away</span>').format(place.fault)
    for one in place.states:
        if one.version == number:
            shown = "FAILED" if one.state == "END" and one.message else one.state
            said = Markup('<span class="state {}">{}</span>').format(shown, shown)
            if one.message:
                said += Markup(' <span class="reason">{}</span>').format(one.message.partition("\n")[0][:300])
            return said
    return Markup('<span class="state none">not loaded</span>')


def _has_page(snapshot: Snapshot) -> str:
    """Why no server shows its traffic; empty where one does."""
    faults = [told.fault or told.page_fault for told in snapshot.told.values()]
    return "" if not all(faults) else next(iter(faults), "")
