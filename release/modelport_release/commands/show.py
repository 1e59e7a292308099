"""`modelport show` and `modelport diff`: a version in a page, and two beside each other."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from modelport import history
from modelport.errors import FailedPrecondition
from modelport.manifest import Manifest
from modelport.repository import Repository
from modelport_release import comparing, listing
from modelport_release.commands.arguments import open_repository, repository_parser

MARKS = {"passed": "ok", "reported": "-", "warning": "WARNING", "refused": "REFUSED"}


def show_main(argv: Sequence[str]) -> int:
    """`modelport show NAME[@VERSION]`."""
    parser = repository_parser("show", "Everything about a version, in a page; of a name alone the live version.")
    options = parser.parse_args(argv)
    repository = open_repository(options.repository)
    name, number = listing.resolve_version(repository, options.model)
    manifest = repository.read_manifest(name, number)
    [facts] = [one for one in listing.versions(repository, name) if one.number == number]
    past = [one for one in history.read(repository.base_path(name)) if number in (one.version, one.live)]
    if options.json:
        told = {
            "version": dataclasses.asdict(facts),
            "manifest": None if manifest is None else dataclasses.asdict(manifest),
            "history": [dataclasses.asdict(entry) for entry in past],
        }
        print(json.dumps(told))
        return 0
    console = _console()
    marks = [*(["live"] if facts.is_live else []), *facts.labels, *(["pinned"] if facts.pinned is not None else [])]
    which = f" ({', '.join(marks)})" if marks else ""
    print(f"{name}@{number}{which}: {facts.verdict or 'not published by modelport'}")
    made = facts.created or "at no known time"
    print(f"in {repository.version_path(name, number)}, {facts.bytes / 1e6:.1f} MB, made {made}")
    if manifest is not None:
        _show(console, manifest)
    table = Table("when", "who", "what", "why", title="history", title_justify="left")
    for entry in past:
        table.add_row(entry.when, entry.who, f"{entry.action} {entry.label}".strip(), entry.why or "-")
    console.print(table)
    return 0


def diff_main(argv: Sequence[str]) -> int:
    """`modelport diff NAME@A NAME@B`."""
    parser = repository_parser("diff", "Two versions beside each other: signatures, metrics, cost, training, data.")
    parser.add_argument("other", help="what it is held against the first: NAME, NAME@VERSION or NAME@LABEL")
    options = parser.parse_args(argv)
    repository = open_repository(options.repository)
    (one, first), (two, second) = (_manifest(repository, text) for text in (options.model, options.other))
    found = comparing.compare(first, second)
    if options.json:
        print(json.dumps(dataclasses.asdict(found)))
        return 0
    print(f"{one} and {two}" + (", which have equal content" if first.content_digest == second.content_digest else ""))
    for text in found.breaking:
        print(f"signatures BREAKING {text}")
    for text in found.additions:
        print(f"signatures new      {text}")
    if not found.breaking and not found.additions:
        print("signatures are the same")
    console = _console()
    table = Table("metric", one, two, "worse by, with 95 % certainty", title="metrics", title_justify="left")
    for metric, pair in found.metrics.items():
        interval = found.intervals.get(metric)
        told = "-" if interval is None else f"{interval[1]:.3g} to {interval[2]:.3g}"
        table.add_row(metric, *map(_cell, pair), told)
    console.print(table)
    if found.metrics and not found.intervals:
        print("They were not held against each other on the same rows: that is done when a version is published.")
    for title, pairs in (
        ("cost", found.costs),
        ("training", found.training),
        ("data", found.data),
        ("environment", found.environment),
    ):
        if not pairs:
            print(f"{title}: no difference is known")
            continue
        table = Table("", one, two, title=title, title_justify="left")
        for key, pair in pairs.items():
            table.add_row(key, *map(_cell, pair))
        console.print(table)
    return 0


def _manifest(repository: Repository, text: str) -> tuple[str, Manifest]:
    name, number = listing.resolve_version(repository, text)
    manifest = repository.read_manifest(name, number)
    if manifest is None:
        raise FailedPrecondition(
            f"Expected a version that modelport published: it says what it is in its manifest. {name}@{number} has "
            "none, so it cannot be compared."
        )
    return f"{name}@{number}", manifest


def _show(console: Console, manifest: Manifest) -> None:
    for check in manifest.proof.get("checks", ()):
        print(f"{check['name']:<9} {MARKS[check['outcome']]:<8} {check['sentence']}")
    table = Table("signature", "", "name", "dtype", "shape", title="signatures", title_justify="left")
    for name, signature in manifest.signatures.items():
        for side, aliases in signature.items():
            for alias, spec in aliases.items():
                table.add_row(name, side[:-1], alias, spec["dtype"], str(spec["shape"]))
    console.print(table)
    for title, facts in (
        ("metrics", comparing.metrics_of(manifest)),
        ("cost", comparing.costs_of(manifest)),
        ("training", manifest.training),
        ("data", manifest.data),
        ("environment", {**manifest.environment, "source_revision": manifest.source_revision}),
    ):
        _facts(console, title, facts)


def _facts(console: Console, title: str, facts: Mapping[str, Any]) -> None:
    if not facts:
        return
    table = Table("", "", title=title, title_justify="left", show_header=False)
    for key, value in facts.items():
        table.add_row(str(key), _cell(value))
    console.print(table)


def _cell(value: Any) -> str:
    return "-" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else 140, highlight=False, markup=False)
