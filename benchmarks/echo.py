"""What gRPC itself costs: calls that answer a few bytes and do nothing, through both of our server's implementations.

That is gRPC's completion queue, and `grpc.aio`, which is public. Each runs on uvloop in a process of its own, and is
loaded by h2load: 16 callers, requests of the size of one row.

    python benchmarks/echo.py [--seconds 3]
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import struct
import sys
import tempfile
from functools import partial
from pathlib import Path

import uvloop
from rich.console import Console
from rich.table import Table
from serving_peers import generator
from serving_peers.checkouts import HERE, environment
from serving_peers.exchanges import Exchange
from serving_peers.generator import BadRun
from serving_peers.launch import ServerTree, free_port

from modelport.errors import Code
from modelport_serving.grpc_server.port import open_port
from modelport_serving.grpc_server.unary_call import UnaryCall

CALLERS = 16
REQUEST, ANSWER = bytes(3200), bytes(100)
ECHO = Exchange("gRPC", True, "/echo.Echo/Echo", bytes, bytes)  # type: ignore[arg-type]  # nothing is encoded here
QUEUE, AIO = "completion_queue", "aio"  # as --grpc_implementation names them


def main() -> int:
    """Measure both and print the table; with --serve, be one of the servers."""
    parser = argparse.ArgumentParser(description="What an empty gRPC call costs.")
    parser.add_argument("--seconds", type=float, default=3.0, help="length of a run")
    parser.add_argument("--serve", nargs=2, metavar=("IMPLEMENTATION", "PORT"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        implementation, port = arguments.serve
        uvloop.run(serve(implementation, int(port)))
        return 0
    try:
        generator.set_up()
        measured = {name: measure(name, arguments.seconds) for name in (QUEUE, AIO)}
    except BadRun as error:
        print(f"echo: {error}", file=sys.stderr)
        return 1
    table = Table(
        "implementation", "requests/s", "CPU ms a call", f"{QUEUE} ÷ it", title=f"an empty gRPC call, {CALLERS} callers"
    )
    for name, (rate, cpu) in measured.items():
        table.add_row(name, f"{rate:,.0f}", f"{cpu * 1e3:.3f}", f"{measured[QUEUE][0] / rate:.1f}")
    Console().print(table)
    return 0


def measure(implementation: str, seconds: float) -> tuple[float, float]:
    """Requests a second, and seconds of processor time a request."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="modelport-bench-") as folder:
        body = Path(folder) / "body"
        body.write_bytes(struct.pack(">BI", 0, len(REQUEST)) + REQUEST)
        command = [sys.executable, str(Path(__file__).resolve()), "--serve", implementation, str(port)]
        with ServerTree(command, Path(folder) / "log", environment(HERE)) as tree:
            tree.wait_until(partial(socket.create_connection, ("127.0.0.1", port), 1), 30)
            generator.run(ECHO, port, body, CALLERS, 1)
            before = tree.cpu_s()
            load = generator.run(ECHO, port, body, CALLERS, seconds)
            cpu = tree.cpu_s() - before
            load.check(ECHO, len(ANSWER) + 5, CALLERS)
    return load.rate, cpu / load.requests


async def serve(implementation: str, number: int) -> None:
    """Answer until the process is ended."""

    async def answer(call: UnaryCall) -> None:
        call.answer(Code.OK, "", ANSWER)

    port = open_port(implementation, {ECHO.path: answer}, "")  # type: ignore[arg-type]  # one of the names above
    port.listen(f"127.0.0.1:{number}", None)
    await port.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    sys.exit(main())
