"""The options of `modelport loadtest`, checked, and what they come to."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from modelport.errors import FailedPrecondition, InvalidArgument
from modelport.layout import parse_reference
from modelport_client.client import DEFAULT_TIMEOUT_S, Client
from modelport_client.commands.options import add_version, command_parser, parse
from modelport_client.commands.predict import add_inputs, read_inputs
from modelport_client.loadtest import samples
from modelport_client.loadtest.found import Bound
from modelport_client.loadtest.plan import Plan, Samples
from modelport_client.loadtest.profile import ARRIVALS, POISSON, Piece
from modelport_client.loadtest.profile import parse as parse_profile
from modelport_client.loadtest.samples import Asked
from modelport_client.servers.connection import resolve

_RATE, _SECONDS, _COMPARED_SECONDS, _BUDGET_S = 50.0, 10.0, 3.0, 60.0
_UNDER_WAY = 1000
GENERATOR_NUMBERS = ("processes", "connections", "under_way", "rows", "timeout")
_TEXT = """Ask a server as many users would, and say how long it takes.
An open loop asks at a rate (--rate, --profile), whatever the server does; a closed loop (--concurrency) has so many
callers, each of which waits for its answer. Without inputs of yours the version's own warm-up requests are asked.
Exit code 1 when a request failed or no rate holds the bound, 4 when the generator was the bottleneck: no result."""


def parse_options(argv: Sequence[str]) -> tuple[argparse.ArgumentParser, argparse.Namespace]:
    """The command line, checked as far as no server is needed for it."""
    parser = command_parser("loadtest", _TEXT)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add_inputs(parser)
    add_version(parser)
    add_samples(parser)
    parser.add_argument("--rate", type=float, metavar="N", help=f"requests a second ({_RATE:g}); --slo begins there")
    parser.add_argument(
        "--seconds",
        type=float,
        metavar="S",
        help=f"how long ({_SECONDS:g}; of a turn of --compare {_COMPARED_SECONDS:g})",
    )
    parser.add_argument("--profile", metavar="P", help="steps and ramps: 100:10,100-500:30,500:10 (RATE:SECONDS)")
    parser.add_argument("--arrivals", choices=ARRIVALS, default=POISSON, help=f"in an open loop ({POISSON})")
    parser.add_argument("--concurrency", type=int, metavar="N", help="a closed loop of N callers")
    parser.add_argument("--warm-up", type=float, default=0.0, metavar="S", help="seconds before that do not count (0)")
    add_generator(parser)
    parser.add_argument("--no-retry", action="store_true", help="count a request as failed when the first try fails")
    parser.add_argument("--slo", type=_bound, metavar="P", help="find the highest rate that holds, such as, p99=20ms")
    parser.add_argument("--budget", type=float, metavar="S", help=f"seconds for --slo ({_BUDGET_S:g})")
    parser.add_argument(
        "--compare",
        nargs=2,
        metavar=("A", "B"),
        help="in turns: each a server (with ':' or '/'), NAME@VERSION of --server, or NAME@VERSION,SERVER",
    )
    parser.add_argument("--pairs", type=int, metavar="N", help="turns of --compare (6)")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write a page with drawings (.html)")
    options = parse(parser, argv)
    _find_server(options)
    _check(parser, options)
    return parser, options


def _find_server(options: argparse.Namespace) -> None:
    """The address and the time-out that are meant.

    Raises:
        FailedPrecondition: the generators cannot speak to it.
    """
    headers = dict(header.partition(":")[::2] for header in options.header)
    found = resolve(options.server, ca=options.ca, cert=options.cert, key=options.key, headers=headers)
    if len(found.addresses) > 1:
        raise FailedPrecondition(
            f"Expected one address to load, or a name such as dns:///name:8500. Received: {found.target}"
        )
    if found.ca is not None or found.cert is not None or found.headers:
        raise FailedPrecondition("Expected a server without certificates and headers: the generators send none.")
    options.server = found.addresses[0]
    options.timeout = next(s for s in (options.timeout, found.timeout, DEFAULT_TIMEOUT_S) if s is not None)


def add_samples(parser: argparse.ArgumentParser) -> None:
    """The options that say which recorded requests are asked."""
    parser.add_argument("--samples", type=Path, metavar="FILE", help="a TFRecord of PredictionLogs, asked in turns")
    parser.add_argument("--rows", type=int, metavar="N", help="of recorded requests only those with N rows")


def add_generator(parser: argparse.ArgumentParser) -> None:
    """The options that say how the load is generated."""
    parser.add_argument("--processes", type=int, default=1, metavar="N", help="that generate the load (1)")
    parser.add_argument("--connections", type=int, default=1, metavar="N", help="that each of them opens (1)")
    parser.add_argument(
        "--under-way",
        "--threads",
        type=int,
        default=_UNDER_WAY,
        metavar="N",
        help=f"requests under way at a time, at most ({_UNDER_WAY}); it is told when more were due",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of random arrivals (0)")


def _bound(text: str) -> Bound:
    try:
        return Bound.parse(text)
    except InvalidArgument as error:
        raise argparse.ArgumentTypeError(error.message) from error


def _check(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    loops = [name for name in ("rate", "profile", "concurrency") if getattr(options, name) is not None]
    if len(loops) > 1:
        parser.error(f"give one of --rate, --profile and --concurrency, not {' and '.join(f'--{n}' for n in loops)}")
    if options.profile is not None and options.seconds is not None:
        parser.error("--profile says how long: leave --seconds out")
    if options.slo is not None and (options.compare or options.profile or options.concurrency or options.seconds):
        parser.error(
            "--slo finds the rate by runs of its own: leave --compare, --profile, --concurrency, --seconds out"
        )
    if options.slo is None and options.budget is not None:
        parser.error("--budget is for --slo")
    if options.pairs is not None and not options.compare:
        parser.error("--pairs is for --compare")
    if options.samples is not None and (options.input is not None or options.image is not None):
        parser.error("give --samples, or --input or --image, not both")
    if options.rows is not None and (options.input is not None or options.image is not None):
        parser.error("--rows is for recorded requests, not for --input or --image")
    check_numbers(
        parser,
        options,
        above_zero=(
            "rate",
            "seconds",
            "concurrency",
            "budget",
            "pairs",
            "processes",
            "connections",
            "under_way",
            "rows",
        ),
        not_negative=("warm_up", "seed"),
    )
    check_report(parser, options)


def check_numbers(
    parser: argparse.ArgumentParser,
    options: argparse.Namespace,
    above_zero: Sequence[str],
    not_negative: Sequence[str] = (),
) -> None:
    """Those that are there."""
    for name in (*above_zero, *not_negative):
        value = getattr(options, name)
        if value is None or value > 0 or (value == 0 and name in not_negative):
            continue
        bound = "0 or more" if name in not_negative else "more than 0"
        parser.error(f"--{name.replace('_', '-')}: expected {bound}. Received: {value}")


def check_report(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Whether a report can be written at the end, before there is anything to lose."""
    if options.report is None:
        return
    if not options.report.parent.is_dir():
        parser.error(f"--report: expected a file in a folder that is there. Received: {str(options.report)!r}")
    try:
        import matplotlib  # noqa: F401  # is all that is asked
    except ModuleNotFoundError as error:
        raise FailedPrecondition("--report needs matplotlib. Run: pip install 'modelport[report]'") from error


def asked_of(options: argparse.Namespace) -> Asked:
    """What the options ask for."""
    return Asked(options.model, options.version, options.label, options.signature, options.only, options.rows)


def samples_of(
    parser: argparse.ArgumentParser, options: argparse.Namespace, server: str, asked: Asked, retry: bool
) -> Samples:
    """The requests that the options name, asked once of a server."""
    inputs: Any = None
    if options.input is not None or options.image is not None:
        inputs, _ = read_inputs(parser, options)
    with Client(server, timeout=options.timeout, retry=retry) as client:
        if inputs is not None:
            return samples.from_inputs(client, asked, inputs)
        if options.samples is not None:
            return samples.from_file(client, asked, options.samples)
        return samples.of_version(client, asked)


def plan_of(options: argparse.Namespace, server: str, what: Samples) -> Plan:
    """The run that the options ask for."""
    seconds = options.seconds or (_COMPARED_SECONDS if options.compare else _SECONDS)
    pieces: tuple[Piece, ...] = ()
    if options.profile is not None:
        pieces = parse_profile(options.profile)
    elif options.concurrency is None:
        rate = options.rate or _RATE
        pieces = (Piece(rate, rate, seconds),)
    return Plan(
        target=server,
        samples=what,
        pieces=pieces,
        arrivals=options.arrivals,
        concurrency=options.concurrency or 0,
        seconds=seconds,
        warm_up_s=options.warm_up,
        timeout_s=options.timeout,
        under_way=max(options.under_way, options.concurrency or 0),
        retry=not options.no_retry,
        processes=options.processes,
        connections=options.connections,
        seed=options.seed,
    )


def budget_of(options: argparse.Namespace) -> float:
    """Seconds of a search."""
    return float(options.budget or _BUDGET_S)


def side_of(text: str, options: argparse.Namespace) -> tuple[str, Asked]:
    """The server and what is asked of it, for one of `--compare`."""
    reference, comma, server = text.partition(",")
    if not comma and (":" in text or "/" in text):
        reference, server = "", text
    asked = asked_of(options)
    if reference:
        name, version, label = parse_reference(reference if not reference.startswith("@") else asked.model + reference)
        asked = replace(asked, model=name, version=version, label=label)
    return server or options.server, asked
