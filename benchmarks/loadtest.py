"""How many gRPC calls a second the load generator makes, and how late it sends, against a server that answers at once.

The server is `load_peers/answering.py`: the least of HTTP/2 on uvloop, in a process of its own, on the cores of the
generator; requests are of the size of one row, answers of some bytes. The peers are h2load, in C, with a connection for
each caller, and gRPC's own package in its two ways. Ours has a connection for each process.

    python benchmarks/loadtest.py [--seconds 3]
"""

from __future__ import annotations

import argparse
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from load_peers import futures
from rich.console import Console
from rich.table import Table
from serving_peers import generator
from serving_peers.checkouts import HERE, environment
from serving_peers.exchanges import Exchange
from serving_peers.generator import BadRun
from serving_peers.launch import ServerTree, free_port

from modelport_client.loadtest.plan import GRPC, Plan, Samples
from modelport_client.loadtest.processes import Generators
from modelport_client.loadtest.profile import Piece
from modelport_client.loadtest.results.result import Result, result_of

CALLERS = 32
AIM = 8000  # calls a second, by the generator on two cores
SAMPLES = Samples(GRPC, futures.PATH, (bytes(futures.REQUEST_BYTES),), "zeros")
PEERS = Path(__file__).parent / "load_peers"
EXCHANGE = Exchange("gRPC", True, futures.PATH, bytes, bytes)  # type: ignore[arg-type]  # nothing is encoded here


def main() -> int:
    """Measure and print; exit code 1 when the aim is missed."""
    parser = argparse.ArgumentParser(description="The load generator against a server that answers at once.")
    parser.add_argument("--seconds", type=float, default=3.0, help="length of a run")
    seconds = parser.parse_args().seconds
    console = Console(width=140)
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="modelport-bench-") as folder:
        command = [sys.executable, str(PEERS / "answering.py"), str(port)]
        with ServerTree(command, Path(folder) / "log", environment(HERE)) as tree:
            tree.wait_until(partial(result_at, f"127.0.0.1:{port}", 1, 0.1), 30)
            try:
                console.print(closed(port, seconds, Path(folder)))
            except BadRun as error:
                print(f"loadtest: {error}", file=sys.stderr)
                return 1
            table, holds = opened(port, seconds)
            console.print(table)
    print(f"The server: {PEERS.name}/answering.py, uvloop, one process, on the same cores.")
    print(f"{AIM:,} calls a second: {'reached' if holds else 'NOT reached'}")
    return 0 if holds else 1


def closed(port: int, seconds: float, folder: Path) -> Table:
    """As fast as it goes."""
    table = Table("what asks", "processes", "calls/s", "h2load ÷ it", title=f"a closed loop of {CALLERS} callers")
    target = f"127.0.0.1:{port}"
    ways: list[tuple[str, int, Callable[[], float]]] = [
        ("h2load (C)", 1, lambda: _h2load(port, seconds, folder)),
        ("modelport loadtest", 1, lambda: result_at(target, 1, seconds).answered),
        ("modelport loadtest", 2, lambda: result_at(target, 2, seconds).answered),
        ("grpc.aio (its fallback)", 1, lambda: result_at(f"ipv4:{target}", 1, seconds).answered),
        ("grpc.aio (its fallback)", 2, lambda: result_at(f"ipv4:{target}", 2, seconds).answered),
        ("grpc, future()", 1, lambda: _futures(target, seconds, 1)),
        ("grpc, future()", 2, lambda: _futures(target, seconds, 2)),
    ]
    peer = 0.0
    for name, processes, measure in ways:
        rate = measure()
        peer = peer or rate
        table.add_row(name, str(processes), f"{rate:,.0f}", f"{peer / rate:.1f}")
    return table


def opened(port: int, seconds: float) -> tuple[Table, bool]:
    """At rates: how late the generator sends, and what it costs; whether the aim is reached."""
    columns = ("due/s", "processes", "answers/s", "p50 ms", "p99 ms", "sent late p50 ms", "p99 ms", "core", "a result")
    table = Table(*columns, title="an open loop of Poisson arrivals")
    holds = False
    for rate, processes in ((1000, 1), (AIM, 1), (AIM, 2), (2 * AIM, 2)):
        result = result_at(f"127.0.0.1:{port}", processes, seconds, rate)
        took, late = result.latency.in_ms(), result.cost.lateness.in_ms()
        figures = [f"{value or 0:.2f}" for value in (took["p50"], took["p99"], late["p50"], late["p99"])]
        word = "yes" if result.bottleneck is None else "no: the generator was late"
        cells = [f"{rate:,}", str(processes), f"{result.answered:,.0f}", *figures, f"{result.cost.cpu_share:.0%}", word]
        table.add_row(*cells)
        reached = not result.failed and result.answered >= 0.98 * AIM  # Poisson arrivals are as many on average only
        holds = holds or (rate >= AIM and reached)
    return table, holds


def result_at(target: str, processes: int, seconds: float, rate: float = 0.0) -> Result:
    """A closed loop, or an open one where there is a rate."""
    pieces = (Piece(rate, rate, seconds),) if rate else ()
    callers = 0 if rate else CALLERS
    plan = Plan(target, SAMPLES, pieces, "poisson", callers, seconds, warm_up_s=0.5, processes=processes)
    with Generators(processes) as generators:
        result = result_of(plan, generators.run(plan))
    if result.failed:
        raise BadRun(f"{result.failed} calls failed: {result.errors[0].message}")
    return result


def _h2load(port: int, seconds: float, folder: Path) -> float:
    generator.set_up()
    body = folder / "body"
    body.write_bytes(struct.pack(">BI", 0, futures.REQUEST_BYTES) + bytes(futures.REQUEST_BYTES))
    return generator.run(EXCHANGE, port, body, CALLERS, seconds).rate


def _futures(target: str, seconds: float, processes: int) -> float:
    command = [sys.executable, str(PEERS / "futures.py"), target, str(CALLERS // processes), str(seconds)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(processes)]
    return sum(int(one.communicate(timeout=seconds + 60)[0]) for one in running) / seconds


if __name__ == "__main__":
    sys.exit(main())
