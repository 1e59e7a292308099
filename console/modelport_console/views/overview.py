"""All models: what is live, what the servers say, what comes in, and what happened last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from jinja2 import Environment
from markupsafe import Markup

from modelport.history import Entry
from modelport_console.live.view import Cells, View
from modelport_console.settings import Settings
from modelport_console.views import curves, words
from modelport_console.watching import traffic
from modelport_console.watching.published import Published
from modelport_console.watching.snapshot import AtServer, Snapshot
from modelport_console.watching.watcher import Watcher


@dataclass(frozen=True)
class Overview:
    """Draws the page of all models."""

    settings: Settings
    watcher: Watcher
    templates: Environment

    def __call__(self, snapshot: Snapshot) -> View:
        """See `View`."""
        cells = Cells()
        for model in snapshot.models:
            _fill(cells, model, snapshot, self.watcher)
        faults = [(address, told.fault) for address, told in snapshot.told.items() if told.fault]
        unseen = [
            (address, told.page_fault) for address, told in snapshot.told.items() if told.page_fault and not told.fault
        ]
        hollow = self.templates.get_template("overview_region.html").render(
            models=snapshot.models, settings=self.settings, snapshot=snapshot, faults=faults, unseen=unseen
        )
        return View(hollow, cells)


def _fill(cells: Cells, model: str, snapshot: Snapshot, watcher: Watcher) -> None:
    published, places = snapshot.of(model), snapshot.at_servers(model)
    cells[f"{model}|live"] = live_version(published, places)
    cells[f"{model}|labels"] = labels(published.labels)
    cells[f"{model}|states"] = states(places, published.live, differs=snapshot.differs(model))
    cells[f"{model}|ready"] = readiness(places, published.live)
    fill_traffic(cells, model, snapshot, watcher)
    cells[f"{model}|last"] = last(published.entries[-1]) if published.entries else Markup("")
    cells[f"{model}|fault"] = published.fault


def fill_traffic(cells: Cells, model: str, snapshot: Snapshot, watcher: Watcher) -> None:
    """What came in, as figures and as curves."""
    seen = watcher.traffic(model)
    now = seen.between(snapshot.wall - traffic.NOW_S, snapshot.wall)
    # Stretches begin at full ten seconds, so that a curve moves once in ten seconds and not with every look.
    end = (snapshot.wall // curves.STRETCH_S + 1) * curves.STRETCH_S
    points = seen.points(end, curves.STRETCH_S, curves.STRETCHES)
    cells[f"{model}|rate"] = words.rate(now.per_second)
    cells[f"{model}|failed"] = words.share(now.failed_share)
    cells[f"{model}|p50"] = words.milliseconds(now.p50_ms)
    cells[f"{model}|p99"] = words.milliseconds(now.p99_ms)
    cells[f"{model}|rates"] = curves.curve(tuple(one.per_second for one in points), "Requests a second", "/s")
    cells[f"{model}|faileds"] = curves.curve(
        tuple(None if one.failed_share is None else one.failed_share * 100 for one in points), "Failed requests", "%"
    )
    cells[f"{model}|p50s"] = curves.curve(tuple(one.p50_ms for one in points), "p50", "ms")
    cells[f"{model}|p99s"] = curves.curve(tuple(one.p99_ms for one in points), "p99", "ms")


def labels(found: Mapping[str, int]) -> Markup:
    """Labels and their versions."""
    one = Markup('<span class="label">{} → {}</span>')
    return Markup(" ").join(one.format(label, version) for label, version in sorted(found.items()))


def states(places: list[AtServer], live: int | None, *, differs: bool) -> Markup:
    """What each server says of the versions, side by side."""
    told = []
    for place in places:
        shown = [one for one in place.states if one.state != "END" or one.message or one.version == live]
        versions = Markup(" ").join(
            Markup('<span class="state {}" title="{}">{} {}</span>').format(
                one.state if not (one.state == "END" and one.message) else "FAILED",
                one.message,
                one.version,
                one.state if not (one.state == "END" and one.message) else "FAILED",
            )
            for one in shown
        )
        where = Markup('<span class="server">{}</span> ').format(place.address) if len(places) > 1 else Markup("")
        said = versions or Markup('<span class="state none">{}</span>').format("away" if place.fault else "none")
        told.append(Markup('<span class="at">{}{}</span>').format(where, said))
    mark = Markup('<span class="differs">servers differ</span>') if differs else Markup("")
    return Markup("").join(told) + mark


def readiness(places: list[AtServer], live: int | None) -> Markup:
    """Whether requests are answered, and if not why."""
    reasons = [(place.address, place.why_not_ready(live)) for place in places]
    wrong = [(address, reason) for address, reason in reasons if reason]
    if not wrong:
        return Markup('<span class="ready">ready</span>')
    some = "not ready" if len(wrong) == len(places) else f"ready at {len(places) - len(wrong)} of {len(places)}"
    told = Markup(" ").join(
        Markup('<span class="reason">{}{}</span>').format(f"{address}: " if len(places) > 1 else "", reason)
        for address, reason in wrong
    )
    return Markup('<span class="unready">{}</span> {}').format(some, told)


def last(entry: Entry) -> Markup:
    """What happened last."""
    which = "" if entry.version is None else str(entry.version)
    text = Markup('<span class="what">{} {}{}</span> <span class="who">{}, {}</span>')
    reason = Markup(" <q>{}</q>").format(entry.why) if entry.why else Markup("")
    what = f"{entry.action} {entry.label}".strip()
    return text.format(what, which, reason, words.moment(entry.when), entry.who)


def live_version(published: Published, places: list[AtServer]) -> str:
    """By the configuration; of a model without one the newest that answers somewhere, as a server has it."""
    newest = max((place.available[0] for place in places if place.available), default=None)
    return str(published.live or newest or words.NOTHING)
