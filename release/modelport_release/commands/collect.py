"""`modelport gc`, `pin`, `unpin` and `quarantine`: which versions stay, and which no server sees any more."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from modelport.errors import InvalidArgument
from modelport.layout import parse_reference
from modelport_release import collecting, listing
from modelport_release.commands.arguments import open_repository, repository_parser


def gc_main(argv: Sequence[str]) -> int:
    """`modelport gc [NAME] --keep N`."""
    text = "Remove old versions: none that is live, labelled or pinned."
    parser = repository_parser("gc", text, optional=True)
    parser.add_argument("--keep", type=int, required=True, metavar="N", help="so many of the newest stay in any case")
    parser.add_argument("--dry-run", action="store_true", help="only say what would go")
    parser.add_argument("--server", metavar="HOST:PORT", help="ask this server, too: what it has loaded stays")
    _add_config(parser)
    parser.add_argument("--why", default="", metavar="TEXT", help="kept in the history")
    options = parser.parse_args(argv)
    repository = open_repository(options.repository)
    told = {}
    for name in [options.model] if options.model is not None else repository.models():
        if "@" in name:
            raise InvalidArgument(f"Expected the name of a model alone. Received: {name!r}")
        found = collecting.collect(
            repository,
            name,
            options.keep,
            configs=options.config,
            server=options.server,
            dry_run=options.dry_run,
            why=options.why,
            say=_say,
        )
        told[name] = dataclasses.asdict(found)
        if not options.json:
            gone = ", ".join(map(str, found.versions)) or "none"
            what = "would be removed" if options.dry_run else "removed"
            print(f"{name}: {what}: {gone} ({found.bytes / 1e6:.1f} MB)")
            for number, why in sorted(found.kept.items()):
                print(f"  {number} stays: {why}")
    if options.json:
        print(json.dumps(told))
    return 0


def pin_main(argv: Sequence[str]) -> int:
    """`modelport pin NAME@VERSION [WHY]`."""
    return _mark("pin", "Keep a version from being collected.", argv)


def unpin_main(argv: Sequence[str]) -> int:
    """`modelport unpin NAME@VERSION [WHY]`."""
    return _mark("unpin", "Let a pinned version be collected again.", argv)


def _mark(action: str, text: str, argv: Sequence[str]) -> int:
    parser = repository_parser(action, text)
    parser.add_argument("why", nargs="?", default="", help="kept with it")
    options = parser.parse_args(argv)
    repository = open_repository(options.repository)
    name, version = listing.resolve(repository, options.model)
    if version is None:
        raise InvalidArgument(f"Expected NAME@VERSION or NAME@LABEL. Received: {options.model!r}")
    (collecting.pin if action == "pin" else collecting.unpin)(repository, name, version, options.why)
    _tell(options, f"{name}@{version}: {action}ned", {"model": name, "version": version, "action": action})
    return 0


def quarantine_main(argv: Sequence[str]) -> int:
    """`modelport quarantine NAME@VERSION WHY [--release]`."""
    parser = repository_parser("quarantine", "Take a version from where servers look: no policy serves it again.")
    parser.add_argument("why", help="kept in the history")
    parser.add_argument("--release", action="store_true", help="put it back")
    _add_config(parser)
    options = parser.parse_args(argv)
    repository = open_repository(options.repository)
    name, number, _ = parse_reference(options.model)
    if options.release:
        if number is None:
            raise InvalidArgument(f"Expected NAME@VERSION. Received: {options.model!r}")
        collecting.release(repository, name, number, options.why)
        _tell(options, f"{name}@{number}: is where servers look again", {"model": name, "version": number})
        return 0
    name, version = listing.resolve(repository, options.model)
    if version is None:
        raise InvalidArgument(f"Expected NAME@VERSION or NAME@LABEL. Received: {options.model!r}")
    after = collecting.quarantine(repository, name, version, options.why, configs=options.config, say=_say)
    text = f"{name}@{version}: in quarantine; requests that name neither version nor label go to {after or 'none'}"
    _tell(options, text, {"model": name, "version": version, "live": after})
    return 0


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="a further file that says what a server serves; repeatable",
    )


def _tell(options: argparse.Namespace, text: str, fields: dict[str, object]) -> None:
    print(json.dumps(fields) if options.json else text)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
