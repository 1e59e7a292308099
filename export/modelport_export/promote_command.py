"""`modelport promote`: which version answers, by a change of the configuration that the running server takes up."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from modelport.errors import InvalidArgument, Unavailable
from modelport.serverconfig import ModelConfig, Specific, format_policy
from modelport_export.promoting import promote

CONFIG = Path("serving/config/models.config")


def main(argv: Sequence[str]) -> int:
    """`modelport promote MODEL VERSION|latest [--label NAME]`."""
    parser = argparse.ArgumentParser(
        prog="modelport promote",
        description="Let one version answer, newer or older than the one that does, or move a label to it; no restart. "
        "For a server that was started with the file of --config.",
    )
    parser.add_argument("model", help="name of the model in the configuration")
    parser.add_argument("version", help="number of the version, or 'latest' for always the newest")
    parser.add_argument(
        "--label", metavar="NAME", help="move this label instead; labelled versions are served together"
    )
    parser.add_argument("--config", type=Path, default=CONFIG, metavar="FILE", help=f"what the server reads ({CONFIG})")
    parser.add_argument(
        "--server", default="localhost:8500", metavar="HOST:PORT", help="told at once and waited for (localhost:8500)"
    )
    parser.add_argument("--file-only", action="store_true", help="change the file; the server's polling does the rest")
    parser.add_argument(
        "--repository",
        type=Path,
        default=Path("models"),
        metavar="DIR",
        help="where the version must be, if it is there",
    )
    parser.add_argument("--timeout", type=float, default=120.0, metavar="SECONDS", help="for the version to come (120)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(argv)
    try:
        now = promote(
            options.model,
            _version(options.version),
            config=options.config,
            label=options.label,
            server=None if options.file_only else options.server,
            repository=options.repository if (options.repository / options.model).is_dir() else None,
            timeout=options.timeout,
        )
    except Unavailable as error:
        raise Unavailable(f"{error.message} Give --server, or --file-only to change the file alone.") from error
    if options.json:
        print(json.dumps({"model": now.name, "policy": format_policy(now.policy), "labels": dict(now.labels)}))
    else:
        print(_sentence(now, options))
    return 0


def _version(text: str) -> int | None:
    if text == "latest":
        return None
    if not text.isdecimal():
        raise InvalidArgument(f"Expected the number of a version, or 'latest'. Received: {text!r}")
    return int(text)


def _sentence(now: ModelConfig, options: argparse.Namespace) -> str:
    labels = "".join(f"; {label} is version {now.labels[label]}" for label in sorted(now.labels))
    where = f"in {options.config}" if options.file_only else f"at {options.server} and in {options.config}"
    told = f"{now.name}: {format_policy(now.policy)}{labels} {where}"
    if now.labels and isinstance(now.policy, Specific):
        highest = max(now.policy.versions)
        told += f"\nRequests that name neither go to version {highest}; new versions wait to be promoted."
    return told
