"""Does one request hold up the others? What small calls of another client take while a big one is read or answered.

`modelport serve` answers requests of up to 100 MB in every form that is laborious to read or write. Meanwhile two
probes, in processes of their own, ask it for its health over REST and for the model's status over gRPC, one call after
the other. A row has the longest of either and the 99th percentile; the bound is 100 ms for the longest. Every answer
is checked, to the big requests too: a row whose answer was wrong says so and counts as not within the bound. The column
`late` says how late the machine woke the probes themselves, at most: figures of that size are not the server's.

    python benchmarks/fairness.py [--quick] [--only strings] [--server-command "tensorflow_model_server"]

`--server-command` measures another server that takes the flags of `tensorflow_model_server`; it sees the environment
of this process, so `env PYTHONPATH=… python -m modelport serve` is another checkout of ours.
"""

from __future__ import annotations

import argparse
import os
import shlex
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from fairness_load import model
from fairness_load.outcome import Errand, Outcome
from fairness_load.probes import Asked, Probe, during
from fairness_load.rest_errands import rest_answer
from fairness_load.situations import QUICK, SITUATIONS, Situation
from rich.console import Console
from rich.table import Table
from serving_peers.checkouts import HERE, environment
from serving_peers.contestants import Ports
from serving_peers.generator import BadRun
from serving_peers.launch import ServerTree, free_port

BOUND_S = 0.1
START_S = 120.0
IDLE_S = 3.0  # of the first row, in which nothing else is asked
ENOUGH_S, MOST_TIMES = 2.0, 5  # a short errand is repeated, so that the probes meet it
FLOOR_MB, PIECE = 100, 2**16  # a message; bytes of the pieces that it comes in
FLAGS = ("--rest_api_timeout_in_ms=300000",)  # slow answers are measured, not cut off


@dataclass(frozen=True)
class Measured:
    """One situation: when it was, and what became of it."""

    situation: Situation
    begin: float
    end: float
    size: int  # bytes of one request and its answer
    seconds: float  # that one took
    fault: str | None


def main() -> int:
    """Measure and print."""
    arguments = _parse()
    chosen = [one for one in SITUATIONS if (one.is_quick or not arguments.quick) and arguments.only in one.name]
    ports = Ports(free_port(), free_port())
    try:
        with tempfile.TemporaryDirectory(prefix="modelport-bench-") as folder:
            work = Path(folder)
            flags = [f"--model_name={model.NAME}", f"--model_base_path={model.write(work)}", *FLAGS]
            flags += [f"--port={ports.grpc}", f"--rest_api_port={ports.rest}"]
            command, variables = [sys.executable, "-m", "modelport", "serve"], environment(HERE)
            if arguments.server_command:
                command, variables = shlex.split(arguments.server_command), dict(os.environ)
            with ServerTree([*command, *flags], work / "server.log", variables) as tree:
                hello = rest_answer("make_floats", 10, "instances")
                tree.wait_until(lambda: hello(ports), START_S)
                rest, grpc = Probe("rest", ports.rest, work), Probe("grpc", ports.grpc, work)
                with rest, grpc:
                    measured = [_idle(), *(_measure(one, ports, QUICK if arguments.quick else 1) for one in chosen)]
    except BadRun as error:
        print(f"fairness: {error}", file=sys.stderr)
        return 1
    if arguments.quick:
        print(f"The big requests were {QUICK} times smaller than they are called.")
    _print(measured, rest.asked, grpc.asked)
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="What small calls take while a big request is read or answered.")
    parser.add_argument("--quick", action="store_true", help=f"half of the situations, {QUICK} times smaller")
    parser.add_argument("--only", default="", metavar="TEXT", help="situations with this in their names")
    parser.add_argument("--server-command", default="", metavar="COMMAND", help="another server than this checkout's")
    return parser.parse_args()


def _idle() -> Measured:
    begin = time.monotonic()
    time.sleep(IDLE_S)
    nothing = Situation("nothing", lambda smaller: _nothing, is_judged=False)
    return Measured(nothing, begin, time.monotonic(), 0, IDLE_S, None)


def _nothing(ports: Ports) -> Outcome:
    return Outcome(0, lambda: None)


def _measure(situation: Situation, ports: Ports, smaller: int) -> Measured:
    """Run the errand of a situation, and look at its answers when the clock has stopped."""
    print(f"{situation.name} …", flush=True)
    errand = situation.prepare(smaller)
    outcomes: list[Outcome] = []
    fault, times = None, 0
    begin = time.monotonic()
    try:
        while times < MOST_TIMES and time.monotonic() - begin < ENOUGH_S:
            outcomes = _run(errand, situation.clients, ports)
            times += 1
    except Exception as error:  # of whatever client library: the row says it
        fault = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    end = time.monotonic()
    faults = [found for outcome in outcomes if (found := outcome.fault()) is not None]
    size = outcomes[0].size if outcomes else 0
    return Measured(situation, begin, end, size, (end - begin) / max(times, 1), fault or next(iter(faults), None))


def _run(errand: Errand, clients: int, ports: Ports) -> list[Outcome]:
    with ThreadPoolExecutor(clients) as executor:
        return list(executor.map(lambda _: errand(ports), range(clients)))


def _print(measured: Sequence[Measured], rest: list[Asked], grpc: list[Asked]) -> None:
    table = Table("while", title="calls of another client, in ms", title_justify="left")
    for column in ("MB", "s", "health max", "p99", "status max", "p99", "late", "within 100 ms"):
        table.add_column(column, justify="right")
    judged = within = 0
    for one in measured:
        health, status = during(rest, one.begin, one.end), during(grpc, one.begin, one.end)
        late = max((asked.late for asked in (*health, *status)), default=0.0)
        holds = _longest(health) <= BOUND_S and _longest(status) <= BOUND_S and one.fault is None
        verdict = "not judged" if not one.situation.is_judged else "yes" if holds else "no"
        if one.fault is not None:
            verdict = "wrong answer"
        if one.situation.is_judged:
            judged, within = judged + 1, within + holds
        cells = [f"{one.size / 1e6:,.1f}", f"{one.seconds:.2f}", *_cells(health), *_cells(status)]
        table.add_row(one.situation.name, *cells, f"{late * 1e3:,.0f}", verdict)
    Console(width=140).print(table)
    for one in measured:
        if one.fault is not None:
            print(f"{one.situation.name}: {one.fault}")
    for kind, error in {
        (kind, one.error) for kind, asked in (("REST", rest), ("gRPC", grpc)) for one in asked if one.error
    }:
        print(f"A probe over {kind} failed: {error}")
    print(f"{within} of {judged} situations are within {BOUND_S * 1e3:.0f} ms.")
    print(
        f"gRPC's Python layer fills new memory twice while it holds the interpreter: for {FLOOR_MB} MB this takes "
        f"{_two_copies() * 1e3:.0f} ms on this machine, whatever a server does."
    )


def _two_copies() -> float:
    """Seconds, the median of some: what `_ReceiveMessageOperation` of grpcio does with a message."""
    piece, times = bytes(PIECE), []
    for _ in range(MOST_TIMES):
        begin = time.perf_counter()
        grown = bytearray()
        for _ in range(FLOOR_MB * 1_000_000 // PIECE):
            grown += piece
        bytes(grown)
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def _cells(asked: Sequence[Asked]) -> list[str]:
    return [f"{seconds * 1e3:,.1f}" for seconds in (_longest(asked), _percentile(asked, 0.99))]


def _longest(asked: Sequence[Asked]) -> float:
    return _percentile(asked, 1.0)


def _percentile(asked: Sequence[Asked], share: float) -> float:
    """Seconds; endless where nothing was answered."""
    times = sorted(one.took for one in asked)
    return times[min(len(times) - 1, int(share * len(times)))] if times else float("inf")


if __name__ == "__main__":
    sys.exit(main())
