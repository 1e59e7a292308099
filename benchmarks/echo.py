"""What gRPC itself costs: calls that answer a few bytes and do nothing, as our server takes them and by `grpc.aio`.

Both run on uvloop in a process of their own, and are loaded by h2load: 16 callers, requests of the size of one row.

    python benchmarks/echo.py [--seconds 3]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import struct
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import grpc
import uvloop
from rich.console import Console
from rich.table import Table
from serving_peers import generator
from serving_peers.exchanges import Exchange
from serving_peers.generator import BadRun
from serving_peers.launch import ServerTree, free_port

from modelport.errors import Code
from modelport_serving.grpc_server.completion_queue import UnaryCall, UnaryCalls

CALLERS = 16
REQUEST, ANSWER = bytes(3200), bytes(100)
ECHO = Exchange("gRPC", True, "/echo.Echo/Echo", bytes, bytes)  # type: ignore[arg-type]  # nothing is encoded here
WAYS = {"ours": "unary_calls, on gRPC's core", "aio": "grpc.aio"}


def main() -> int:
    """Measure both and print the table; with --serve, be one of the servers."""
    parser = argparse.ArgumentParser(description="What an empty gRPC call costs.")
    parser.add_argument("--seconds", type=float, default=3.0, help="length of a run")
    parser.add_argument("--serve", nargs=2, metavar=("WAY", "PORT"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        way, port = arguments.serve
        serve_ours(int(port)) if way == "ours" else uvloop.run(serve_aio(int(port)))
        return 0
    try:
        generator.set_up()
        measured = {way: measure(way, arguments.seconds) for way in WAYS}
    except BadRun as error:
        print(f"echo: {error}", file=sys.stderr)
        return 1
    table = Table("server", "requests/s", "CPU ms a call", "ours ÷ it", title=f"an empty gRPC call, {CALLERS} callers")
    for way, (rate, cpu) in measured.items():
        table.add_row(WAYS[way], f"{rate:,.0f}", f"{cpu * 1e3:.3f}", f"{measured['ours'][0] / rate:.1f}")
    Console().print(table)
    return 0


def measure(way: str, seconds: float) -> tuple[float, float]:
    """Requests a second, and seconds of processor time a request."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="modelport-bench-") as folder:
        body = Path(folder) / "body"
        body.write_bytes(struct.pack(">BI", 0, len(REQUEST)) + REQUEST)
        command = [sys.executable, str(Path(__file__).resolve()), "--serve", way, str(port)]
        with ServerTree(command, Path(folder) / "log", os.environ) as tree:
            tree.wait_until(partial(socket.create_connection, ("127.0.0.1", port), 1), 30)
            generator.run(ECHO, port, body, CALLERS, 1)
            before = tree.cpu_s()
            load = generator.run(ECHO, port, body, CALLERS, seconds)
            cpu = tree.cpu_s() - before
            load.check(ECHO, len(ANSWER) + 5, CALLERS)
    return load.rate, cpu / load.requests


def serve_ours(port: int) -> None:
    """Answer until the process is ended."""

    async def answer(call: UnaryCall) -> None:
        call.answer(Code.OK, "", ANSWER)

    loop = uvloop.new_event_loop()
    server = grpc.server(ThreadPoolExecutor(1))
    calls = UnaryCalls(server, {ECHO.path: answer}, loop)
    server.add_insecure_port(f"127.0.0.1:{port}")
    threading.Thread(target=loop.run_forever, daemon=True).start()
    server.start()
    calls.start()
    server.wait_for_termination()


async def serve_aio(port: int) -> None:
    """Answer until the process is ended."""

    async def answer(data: bytes, context: grpc.aio.ServicerContext) -> bytes:
        return ANSWER

    class Handlers(grpc.GenericRpcHandler):
        def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
            return grpc.unary_unary_rpc_method_handler(answer)

    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Handlers(),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    sys.exit(main())
