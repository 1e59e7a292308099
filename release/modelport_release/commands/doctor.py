"""`modelport doctor`: what is wrong, and what to type."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

from modelport.repository import Repository
from modelport_release.commands.arguments import REPOSITORY
from modelport_release.doctor.examining import KINDS, examine


def main(argv: Sequence[str]) -> int:
    """`modelport doctor [WHAT]`; exit code 1 when something is wrong."""
    parser = argparse.ArgumentParser(
        prog="modelport doctor", description="What is wrong, and what to type, a finding a line. It changes nothing."
    )
    parser.add_argument("what", nargs="*", help=f"{KINDS} ({REPOSITORY})")
    parser.add_argument("--model", action="append", default=[], metavar="NAME", help="to ask a server for; repeatable")
    parser.add_argument("--tensorflow", metavar="VERSION", help="that is to serve, such as 2.21.0")
    parser.add_argument("--callers", type=int, metavar="N", help="requests at a time that a stack has to answer")
    parser.add_argument("--message-bytes", type=int, metavar="N", help="a size of messages that has to pass")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(argv)
    for name in ("callers", "message_bytes"):
        if getattr(options, name) is not None and getattr(options, name) < 1:
            parser.error(f"--{name.replace('_', '-')}: expected 1 or more. Received: {getattr(options, name)}")
    found = []
    for what in options.what or [str(REPOSITORY)]:
        found += examine(
            what,
            models=options.model or (_models() if not Path(what).exists() else []),
            target=options.tensorflow,
            callers=options.callers,
            message_bytes=options.message_bytes,
        )
    if options.json:
        print(json.dumps([dataclasses.asdict(one) for one in found]))
    else:
        for one in found:
            print(one.line())
        if not found:
            print("Nothing is wrong, as far as can be told from here.")
    return 1 if found else 0


def _models() -> list[str]:
    """Those of the repository here: what a server is asked for that nobody names models of."""
    return Repository(REPOSITORY).models() if REPOSITORY.is_dir() else []
