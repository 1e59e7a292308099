"""`modelport loadtest`: a steady load on a server, and what became of each request."""

from __future__ import annotations

import argparse
import contextlib
import json
import time
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any

from modelport_client.commands.options import add_version, command_parser, connected, parse
from modelport_client.commands.predict import add_inputs, ask, read_inputs
from modelport_client.commands.tables import print_table
from modelport_client.loadtest import Outcome, SteadyLoad, answered_by, percentile


def main(argv: Sequence[str]) -> int:
    """`modelport loadtest MODEL --image FILE…` or `--input JSON`; exit code 1 when a request failed."""
    parser = command_parser(
        "loadtest", "Ask a server at a steady rate, whatever it does. Exit code 1 when a request failed."
    )
    add_inputs(parser)
    add_version(parser)
    parser.add_argument("--rate", type=float, default=50.0, metavar="N", help="requests a second (50)")
    parser.add_argument("--seconds", type=float, default=10.0, metavar="S", help="how long (10); Ctrl-C ends it sooner")
    parser.add_argument("--threads", type=int, default=8, metavar="N", help="requests under way at a time, at most (8)")
    parser.add_argument("--no-retry", action="store_true", help="count a request as failed when the first try fails")
    options = parse(parser, argv)
    if options.seconds < 0:
        parser.error(f"--seconds: expected 0 or more. Received: {options.seconds}")
    inputs, _ = read_inputs(parser, options)
    with connected(options, retry=not options.no_retry) as client:
        ask_once = partial(ask, client, options, inputs)
        ask_once()  # a mistake is told at once, and the connection is there
        with SteadyLoad(ask_once, options.rate, options.threads) as load, contextlib.suppress(KeyboardInterrupt):
            time.sleep(options.seconds)
    return _report(load.outcomes, options)


def _report(outcomes: list[Outcome], options: argparse.Namespace) -> int:
    failed = [outcome.error for outcome in outcomes if outcome.error is not None]
    reasons = Counter(error.message for error in failed).most_common(5)
    if options.json:
        facts: dict[str, Any] = {
            "requests": len(outcomes),
            "failed": len(failed),
            "reasons": dict(reasons),
            "answered_by": {str(version): count for version, count in answered_by(outcomes).items()},
            "p50_ms": _ms(outcomes, 0.5),
            "p99_ms": _ms(outcomes, 0.99),
            "longest_ms": _ms(outcomes, 1.0),
        }
        print(json.dumps(facts, indent=2))
    else:
        by = ", ".join(f"{count} by version {version}" for version, count in answered_by(outcomes).items())
        row = [str(len(outcomes)), str(len(failed)), by, *(_ms(outcomes, share) for share in (0.5, 0.99, 1.0))]
        columns = ["requests", "failed", "answered", "p50 ms", "p99 ms", "longest ms"]
        print_table(f"{options.model} at {options.server or 'the server'}", columns, [[str(cell) for cell in row]])
        for reason, count in reasons:
            print(f"{count} × {reason}")
    return 1 if failed else 0


def _ms(outcomes: list[Outcome], share: float) -> float | None:
    seconds = percentile(outcomes, share)
    return None if seconds is None else round(seconds * 1000, 1)
