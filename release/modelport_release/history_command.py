"""`modelport history`: what was done with a model's versions, by whom and why."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from modelport import history
from modelport.errors import NotFound
from modelport.repository import Repository


def main(argv: Sequence[str]) -> int:
    """`modelport history MODEL [--json]`."""
    parser = argparse.ArgumentParser(prog="modelport history", description="What was done with a model's versions.")
    parser.add_argument("model", help="name of the model")
    parser.add_argument("--repository", type=Path, default=Path("models"), metavar="DIR", help="default: models")
    parser.add_argument("--json", action="store_true", help="print JSON, a line a change")
    options = parser.parse_args(argv)
    repository = Repository(options.repository)
    base = repository.base_path(options.model)
    if not base.is_dir():
        raise NotFound(repository.unknown(options.model))
    entries = history.read(base)
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
    Console(width=None if sys.stdout.isatty() else 140, highlight=False).print(table)
    return 0
