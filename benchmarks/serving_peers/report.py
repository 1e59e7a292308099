"""The tables: one a protocol and number of rows; every ratio is ours divided by the peer's, from the same run."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Sequence

from rich.table import Table

from serving_peers.contestants import BEFORE, OURS
from serving_peers.measure import Figures, Result, Setting

COLUMNS = ("callers", "requests/s", "ours ÷ it", "p50 ms", "p99 ms", "ours ÷ it", "CPU s / 1,000", "ours ÷ it", "MB")
DISTURBED = 0.1
LOSS = 0.9  # ours ÷ before, of requests a second, below which a change is said to have cost something


def table(results: Sequence[Result], grpc: bool, rows: int) -> Table:
    """The results of one protocol and number of rows.

    A peer without gRPC stands in the table of gRPC with its REST figures, and the column `speaks` says so: they are
    what its users have instead.
    """
    title = f"{'gRPC' if grpc else 'REST'}, {rows} {'row' if rows == 1 else 'rows'} a request"
    made = Table("server", "speaks", title=title, title_justify="left")
    for column in COLUMNS:
        made.add_column(column, justify="right")
    own = [result for result in results if result.setting.rows == rows]
    speaks_grpc = {result.server for result in own if result.setting.exchange.grpc}
    ours = {r.setting.callers: r.figures for r in own if r.server == OURS and r.setting.exchange.grpc == grpc}
    last = OURS
    for result in own:
        exchange = result.setting.exchange
        if exchange.grpc == grpc or (grpc and result.server not in speaks_grpc):
            if result.server != last:
                made.add_section()
            last = result.server
            head = [result.server, exchange.name, str(result.setting.callers)]
            made.add_row(*head, *_cells(result, ours.get(result.setting.callers)))
    return made


def changes(results: Sequence[Result]) -> Table:
    """Ours ÷ before for each setting, from the medians; more is better for requests a second, less for all others."""
    columns = ("requests/s", "p50", "p99", "CPU a request", "memory", "p50 ms", "before", "MB", "before")
    made = Table("asked", title="ours ÷ before", title_justify="left")
    for column in (*columns, f"requests/s ≥ {LOSS}"):
        made.add_column(column, justify="right")
    before = {result.setting: result.figures for result in results if result.server == BEFORE}
    for result in results:
        ours, theirs = result.figures, before.get(result.setting)
        if result.server != OURS or ours is None or theirs is None:
            continue
        setting, ratio = result.setting, ours.rate / theirs.rate
        cells = [ratio, ours.p50 / theirs.p50, ours.p99 / theirs.p99, ours.cpu_per_request / theirs.cpu_per_request]
        cells += [ours.memory_bytes / theirs.memory_bytes]
        lone = [f"{its.p50 * 1e3:.2f}" for its in (ours, theirs)]
        sizes = [f"{its.memory_bytes / 1e6:,.0f}" for its in (ours, theirs)]
        name = f"{setting.exchange.name}, {setting.rows} × {setting.callers}"
        made.add_row(name, *(f"{cell:.2f}" for cell in cells), *lone, *sizes, "yes" if ratio >= LOSS else "NO")
    return made


def middle(results: Sequence[Result]) -> list[Result]:
    """One result for each server and setting: the median of every figure; a failure of one run is that of all."""
    runs: dict[tuple[str, Setting], list[Result]] = {}
    for result in results:
        runs.setdefault((result.server, result.setting), []).append(result)
    return [_median(own) for own in runs.values()]


def _median(runs: Sequence[Result]) -> Result:
    figures = [run.figures for run in runs if run.figures is not None]
    if len(figures) < len(runs):
        return next(run for run in runs if run.figures is None)
    columns = zip(*map(dataclasses.astuple, figures), strict=True)
    return dataclasses.replace(runs[0], figures=Figures(*map(statistics.median, columns)))


def failures(results: Sequence[Result]) -> list[str]:
    """A line for each reason why a server has no figures."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for result in results:
        if result.figures is None:
            setting = result.setting
            what = f"{setting.exchange.name} {setting.rows} × {setting.callers}"
            reasons.setdefault((result.server, result.failure), []).append(what)
    return [f"{server}: {reason} [{', '.join(runs)}]" for (server, reason), runs in reasons.items()]


def disturbance(results: Sequence[Result]) -> str:
    """What share of the cores other programs took while we measured; figures of a busy machine are worth less."""
    shares = [result.figures.others for result in results if result.figures is not None]
    if not shares:
        return "Nothing was measured."
    disturbed = sum(share > DISTURBED for share in shares)
    return (
        f"Other programs took {sum(shares) / len(shares):.0%} of the cores on average, {max(shares):.0%} at most, and "
        f"more than {DISTURBED:.0%} in {disturbed} of {len(shares)} runs."
    )


def _cells(result: Result, ours: Figures | None) -> list[str]:
    its = result.figures
    if its is None:
        return ["failed"]
    cells = [f"{its.rate:,.0f}", "", f"{its.p50 * 1e3:.2f}", f"{its.p99 * 1e3:.2f}", ""]
    cells += [f"{its.cpu_per_request * 1e3:.3f}", "", f"{its.memory_bytes / 1e6:,.0f}"]
    if ours is not None and result.server != OURS:
        cells[1] = f"{ours.rate / its.rate:.2f}"
        cells[4] = f"{ours.p99 / its.p99:.2f}"
        cells[6] = f"{ours.cpu_per_request / its.cpu_per_request:.2f}"
    return cells
