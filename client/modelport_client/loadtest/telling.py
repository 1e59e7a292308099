"""What runs, searches and comparisons came to, on a terminal and as pages."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from modelport_client.commands.tables import print_table
from modelport_client.loadtest.comparison import Comparison
from modelport_client.loadtest.found import Bound, Found, Try
from modelport_client.loadtest.results.histogram import name_of
from modelport_client.loadtest.results.result import Result

_BAR = 40  # characters of the longest bar
_MOST_ERRORS = 5  # kinds that are told on a terminal


def print_run(result: Result, title: str) -> None:
    """A table, and what has to be known of it."""
    columns, row = _run_row(result)
    print_table(title, columns, [row])
    for line in _remarks(result):
        print(line)


def _run_row(result: Result) -> tuple[list[str], list[str]]:
    by = ", ".join(f"{count} by version {_version(version)}" for version, count in result.answered_by.items())
    shown = {name.replace("_", "."): _ms(value) for name, value in result.latency.in_ms().items()}
    columns = ["requests", "failed", "answered", "due/s", "answers/s", *(f"{name} ms" for name in shown)]
    row = [str(result.requests), str(result.failed), by, f"{result.offered:.5g}", f"{result.answered:.5g}"]
    return columns, [*row, *shown.values()]


def _remarks(result: Result) -> list[str]:
    """Errors, limits, and the generator's own cost."""
    lines = [f"{error.count} × {error.code}: {error.message}" for error in result.errors[:_MOST_ERRORS]]
    if len(result.errors) > _MOST_ERRORS:
        lines.append(f"… and {len(result.errors) - _MOST_ERRORS} more kinds of errors")
    if result.held_back:
        lines.append(
            f"{result.held_back} requests were sent later than they were due: {result.plan.under_way} at most may be "
            "under way (--under-way), or as many as the server takes on these connections. Their time counts from when "
            "they were due."
        )
    if result.retried:
        lines.append(f"{result.retried} requests were asked for again (--no-retry counts them as failed)")
    founded = result.latency.founded
    lines.append(f"Asked: {result.plan.samples.origin}. Percentiles up to {name_of(founded)} rest on enough requests.")
    cost = result.cost
    late = cost.lateness.in_ms()
    starved = "" if cost.starved_share is None else f" and waited for one {cost.starved_share:.0%}"
    lines.append(
        f"The generator ({cost.sender}, processes: {cost.processes}) used {cost.cpu_share:.0%} of a core{starved}; "
        f"it sent {_ms(late['p50'])} ms late at p50, {_ms(late['p99'])} ms at p99."
    )
    if result.bottleneck is not None:
        lines.append(f"NO RESULT: {result.bottleneck}")
    return lines


def print_try(one: Try, bound: Bound) -> None:
    """One run of a search, when it has ended."""
    word = {True: "holds", False: "does not hold", None: "says nothing"}[one.holds]
    why = f": {one.words}" if one.words else ""
    latency = _ms(None if one.latency_s is None else one.latency_s * 1e3)
    print(f"{one.rate:9.4g}/s  {name_of(bound.percentile)} {latency:>7} ms  {word}{why}", flush=True)


def print_search(found: Found, title: str) -> None:
    """The runs by rate, with bars; then the answer."""
    print_table(title, ["requests/s", "ms", "", "latency (a bar twice as long is ten times as much)"], _bars(found))
    print(found.words)


def _bars(found: Found) -> list[list[str]]:
    latencies = [one.latency_s for one in found.tries if one.latency_s]
    if not latencies:
        return []
    low, high = math.log(min(latencies) / 2), math.log(max(*latencies, found.bound.seconds))
    rows = []
    for one in sorted(found.tries, key=lambda one: (one.rate, one.latency_s or 0.0)):
        share = (math.log(one.latency_s) - low) / (high - low) if one.latency_s and high > low else 0.0
        mark = {True: "holds", False: "no", None: "?"}[one.holds]
        rows.append([f"{one.rate:.4g}", _ms(one.latency_s and one.latency_s * 1e3), mark, "█" * round(share * _BAR)])
    return rows


def print_comparison(comparison: Comparison) -> None:
    """Ratios with their intervals."""
    print_table(f"A = {comparison.names[0]}, B = {comparison.names[1]}", _COLUMNS, _ratio_rows(comparison))
    for line in _comparison_remarks(comparison):
        print(line)


_COLUMNS = ["", "A", "B", "B ÷ A", "95 %", "verdict"]


def _ratio_rows(comparison: Comparison) -> list[list[str]]:
    rows = []
    for one in comparison.ratios:
        low, high = one.ratio.low, one.ratio.high
        interval = "" if low is None or high is None else f"{low:.3f} to {high:.3f}"
        rows.append([one.name, f"{one.a:.4g}", f"{one.b:.4g}", f"{one.ratio.mean:.3f}", interval, one.verdict])
    return rows


def _comparison_remarks(comparison: Comparison) -> list[str]:
    lines = [f"{len(comparison.pairs)} pairs in turns; geometric means, Student's interval of the pairs' ratios."]
    if any(comparison.failed):
        lines.append(f"Failed requests: {comparison.failed[0]} of A, {comparison.failed[1]} of B.")
    lines += [f"does not count: {words}" for words in comparison.dropped]
    if not comparison.ratios:
        lines.append("NO RESULT: no pair counts.")
    return lines


def run_page(result: Result, title: str, path: Path) -> None:
    """The page of one run."""
    from modelport_client.loadtest.page import plots
    from modelport_client.loadtest.page.page import Page

    page = Page(title)
    if result.bottleneck is not None:
        page.verdict(f"No result: {result.bottleneck}", is_result=False)
    columns, row = _run_row(result)
    page.table(columns, [row])
    for line in _remarks(result):
        page.text(line)
    page.heading("Second by second")
    page.drawing(plots.rates(result.timeline), "requests due, answered and failed in each second")
    page.drawing(plots.latencies(result.timeline), "latencies of the requests that were due in each second")
    page.heading("Percentiles")
    shown = {"latency": result.latency, "sent late by the generator": result.cost.lateness}
    page.drawing(plots.percentiles(shown), "how long how many of a hundred requests took at most")
    page.facts(result.to_json())
    page.write(path)


def search_page(founds: Mapping[str, Found], title: str, path: Path) -> None:
    """The page of one search or of several."""
    from modelport_client.loadtest.page import plots
    from modelport_client.loadtest.page.page import Page

    page = Page(title)
    for name, found in founds.items():
        page.verdict(f"{name}: {found.words}" if name else found.words, found.rate is not None)
    page.heading("Latency against rate")
    page.drawing(plots.against_rate(founds), "each run; dotted: the bound, and the rate that holds it")
    for name, found in founds.items():
        page.heading(f"Runs {name}".strip())
        page.table(
            ["requests/s", "seconds", "ms", "failed", "holds", "why not"], [_try_row(one) for one in found.tries]
        )
    page.facts({name: found.to_json() for name, found in founds.items()})
    page.write(path)


def _try_row(one: Try) -> Sequence[str]:
    holds = {True: "yes", False: "no", None: "says nothing"}[one.holds]
    latency = _ms(None if one.latency_s is None else one.latency_s * 1e3)
    return [f"{one.rate:.4g}", f"{one.seconds:.3g}", latency, str(one.failed), holds, one.words]


def comparison_page(comparison: Comparison, path: Path) -> None:
    """The page of a comparison."""
    from modelport_client.loadtest.page import plots
    from modelport_client.loadtest.page.page import Page

    page = Page(f"A = {comparison.names[0]}, B = {comparison.names[1]}")
    page.table(_COLUMNS, _ratio_rows(comparison))
    for line in _comparison_remarks(comparison):
        page.text(line)
    for number, (a, b) in enumerate(comparison.pairs[:1], 1):
        page.heading(f"Percentiles of pair {number}")
        page.drawing(plots.percentiles({"A": a.latency, "B": b.latency}), "how long how many of a hundred took at most")
    page.facts(comparison.to_json())
    page.write(path)


def _version(version: int | None) -> str:
    return "unknown" if version is None else str(version)


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"
