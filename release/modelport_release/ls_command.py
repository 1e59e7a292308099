"""`modelport ls` and `modelport verify`: what a repository holds, and whether it still is what was written."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from modelport import manifest as manifests
from modelport.errors import ModelportError, NotFound
from modelport.repository import Repository
from modelport_release import listing


def ls_main(argv: Sequence[str]) -> int:
    """`modelport ls [MODEL]`."""
    options = _parse("ls", "What the repository holds: all models, or the versions of one.", argv)
    repository = _repository(options.repository)
    if options.model is None:
        models = listing.models(repository)
        if options.json:
            print(json.dumps([dataclasses.asdict(model) for model in models]))
            return 0
        table = Table("model", "live", "labels", "newest", "versions", "MB", "age")
        for model in models:
            labels = ", ".join(f"{label}={number}" for label, number in sorted(model.labels.items()))
            row = (model.name, str(model.live or "-"), labels or "-", str(model.newest), str(model.versions))
            table.add_row(*row, f"{model.bytes / 1e6:.1f}", listing.age(model.created) or "-")
    else:
        name, _ = listing.resolve(repository, options.model)
        versions = listing.versions(repository, name)
        if options.json:
            print(json.dumps([dataclasses.asdict(version) for version in versions]))
            return 0
        table = Table("version", "live", "labels", "verdict", "metrics", "MB", "age")
        for version in versions:
            metrics = ", ".join(f"{metric} {value:.4g}" for metric, value in version.metrics.items())
            told = version.fault or version.verdict or "not published by modelport"
            which = (str(version.number), "live" if version.is_live else "-", ", ".join(version.labels) or "-")
            size = f"{version.bytes / 1e6:.1f}"
            table.add_row(*which, told, metrics or "-", size, listing.age(version.created) or "-")
    Console(width=None if sys.stdout.isatty() else 140, highlight=False).print(table)
    return 0


def verify_main(argv: Sequence[str]) -> int:
    """`modelport verify [MODEL[@VERSION]]`."""
    options = _parse("verify", "Whether the files of versions are those that were written, by their digests.", argv)
    repository = _repository(options.repository)
    wanted = [options.model] if options.model is not None else repository.models()
    failed = 0
    for text in wanted:
        name, only = listing.resolve(repository, text)
        for number in repository.versions(name) if only is None else [only]:
            fault = _fault(repository, name, number)
            failed += fault.startswith("FAILED")
            print(f"{name}@{number}: {fault}")
    return 1 if failed else 0


def _fault(repository: Repository, name: str, number: int) -> str:
    try:
        if repository.read_manifest(name, number) is None:
            return "not published by modelport: there are no digests"
        manifests.verify(repository.version_path(name, number))
    except ModelportError as error:
        return f"FAILED: {error.message}"
    return "as it was written"


def _repository(root: Path) -> Repository:
    if not root.is_dir():
        raise NotFound(f"Expected a model repository: a folder of models. Received: {str(root)!r}, which is no folder.")
    return Repository(root)


def _parse(name: str, text: str, argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=f"modelport {name}", description=text)
    parser.add_argument("model", nargs="?", help="NAME, NAME@VERSION or NAME@LABEL; without it all models")
    parser.add_argument("--repository", type=Path, default=Path("models"), metavar="DIR", help="default: models")
    if name == "ls":
        parser.add_argument("--json", action="store_true", help="print JSON")
    return parser.parse_args(argv)
