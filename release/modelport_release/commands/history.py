"""`modelport history`: what was done with a model's versions, by whom and why."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from modelport import history
from modelport.errors import NotFound
from modelport.layout import parse_reference
from modelport_release.commands.arguments import open_repository, repository_parser


def main(argv: Sequence[str]) -> int:
    """`modelport history MODEL [--json]`."""
    options = repository_parser("history", "What was done with a model's versions.").parse_args(argv)
    repository = open_repository(options.repository)
    name, version, label = parse_reference(options.model)
    base = repository.base_path(name)
    if not base.is_dir():
        raise NotFound(repository.unknown(name))
    entries = [
        entry
        for entry in history.read(base)
        if (version is None or version in (entry.version, entry.live)) and (label is None or entry.label == label)
    ]
    if options.json:
        for entry in entries:
            print(json.dumps(dataclasses.asdict(entry)))
        return 0
    table = Table("when", "who", "what", "version", "live", "labels", "why")
    for entry in entries:
        labels = ", ".join(f"{label}={number}" for label, number in entry.labels.items())
        table.add_row(
            entry.when,
            entry.who,
            f"{entry.action} {entry.label}".strip(),
            "latest" if entry.version is None and entry.action != "unlabel" else str(entry.version or "-"),
            str(entry.live or "-"),
            labels or "-",
            entry.why or "-",
        )
    Console(width=None if sys.stdout.isatty() else 140, highlight=False, markup=False).print(table)
    return 0
