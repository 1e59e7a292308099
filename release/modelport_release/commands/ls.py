"""`modelport ls` and `modelport verify`: what a repository holds, and whether it still is what was written."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from modelport import manifest as manifests
from modelport import marks
from modelport.errors import ModelportError, NotFound
from modelport.repository import Repository
from modelport_release import listing
from modelport_release.commands.arguments import open_repository, repository_parser


def ls_main(argv: Sequence[str]) -> int:
    """`modelport ls [MODEL]`."""
    parser = repository_parser("ls", "What the repository holds: all models, or the versions of one.", optional=True)
    parser.add_argument("--server", metavar="HOST:PORT", help="ask this server, too, what state the versions are in")
    options = parser.parse_args(argv)
    repository = open_repository(options.repository)
    if options.model is None:
        models = listing.models(repository)
        if options.json:
            print(json.dumps([dataclasses.asdict(model) for model in models]))
            return 0
        states = {model.name: _states(options.server, model.name) for model in models}
        table = Table("model", "live", "labels", "newest", "versions", "MB", "age", *_column(options.server))
        for model in models:
            labels = ", ".join(f"{label}={number}" for label, number in sorted(model.labels.items()))
            row = (model.name, str(model.live or "-"), labels or "-", str(model.newest), str(model.versions))
            told = (
                ", ".join(f"{number} {state}" for number, state in sorted(states[model.name].items())) or "not served"
            )
            size = f"{model.bytes / 1e6:.1f}"
            table.add_row(*row, size, listing.age(model.created) or "-", *([told] if options.server else []))
    else:
        name, _ = listing.resolve(repository, options.model)
        versions = listing.versions(repository, name)
        if options.json:
            print(json.dumps([dataclasses.asdict(version) for version in versions]))
            return 0
        state = _states(options.server, name)
        table = Table(
            "version", "live", "labels", "verdict", "metrics", "pinned", "MB", "age", *_column(options.server)
        )
        for version in versions:
            metrics = ", ".join(f"{metric} {value:.4g}" for metric, value in version.metrics.items())
            told = version.fault or version.verdict or "not published by modelport"
            which = (str(version.number), "live" if version.is_live else "-", ", ".join(version.labels) or "-")
            size = f"{version.bytes / 1e6:.1f}"
            pinned = "-" if version.pinned is None else version.pinned or "yes"
            cells = (*which, told, metrics or "-", pinned, size, listing.age(version.created) or "-")
            table.add_row(*cells, *([state.get(version.number, "not served")] if options.server else []))
        aside = marks.quarantined(repository.base_path(name))
        if aside:
            table.caption = f"in quarantine, seen by no server: {', '.join(map(str, aside))}"
    Console(width=None if sys.stdout.isatty() else 140, highlight=False, markup=False).print(table)
    return 0


def verify_main(argv: Sequence[str]) -> int:
    """`modelport verify [MODEL[@VERSION]]`."""
    text = "Whether the files of versions are those that were written, by their digests."
    options = repository_parser("verify", text, optional=True).parse_args(argv)
    repository = open_repository(options.repository)
    wanted = [options.model] if options.model is not None else repository.models()
    failed, found = 0, []
    for text in wanted:
        name, only = listing.resolve(repository, text)
        for number in repository.versions(name) if only is None else [only]:
            fault = _fault(repository, name, number)
            failed += fault.startswith("FAILED")
            found.append({"model": name, "version": number, "found": fault})
            if not options.json:
                print(f"{name}@{number}: {fault}")
    if options.json:
        print(json.dumps(found))
    return 1 if failed else 0


def _column(server: str | None) -> tuple[str, ...]:
    return () if server is None else (f"at {server}",)


def _states(server: str | None, model: str) -> dict[int, str]:
    """Version → state at a server, of the versions that are or come; empty for a model that it does not have."""
    if server is None:
        return {}
    from modelport_client import Client  # a tenth of a second, for those who ask a server

    with Client(server) as client:
        try:
            return {one.version: one.state for one in client.status(model) if one.state != "END"}
        except NotFound:
            return {}


def _fault(repository: Repository, name: str, number: int) -> str:
    try:
        if repository.read_manifest(name, number) is None:
            return "not published by modelport: there are no digests"
        manifests.verify(repository.version_path(name, number))
    except ModelportError as error:
        return f"FAILED: {error.message}"
    return "as it was written"
