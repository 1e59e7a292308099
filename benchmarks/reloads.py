"""Does a server that swaps versions all year keep its size? 1,000 loads and unloads in one embedded server.

The disk is polled once a second at most, which would make this an hour: the versions are aspired by calling the
manager, as the source does after a poll. All else is real: files are read, each version answers a gRPC request, and the
old one is unloaded when the new one is there. Resident memory is measured after the first cycles, in which caches
fill, and at the end; growth above the limit is an exit code of 1. The ratio is to the server's own size, as no peer
swaps versions in one process.

    python benchmarks/reloads.py [--cycles 1000] [--limit 5]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table
from serving_peers import model

from modelport.quiet import native_notes_held_back

FIRST = 50
STEPS = 10
CYCLE_S = 30.0


def main() -> int:
    """Run the cycles in a process of their own and judge what it reports."""
    parser = argparse.ArgumentParser(description="Memory over many loads and unloads.")
    parser.add_argument("--cycles", type=int, default=1000, help=f"more than {FIRST}")
    parser.add_argument("--limit", type=float, default=5.0, help="growth allowed, in %%")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)  # the child's folder of the version
    arguments = parser.parse_args()
    if arguments.cycles <= FIRST:
        parser.error(f"Expected more than {FIRST} cycles. Received: {arguments.cycles}")
    if arguments.serve:
        _cycle(arguments.serve, arguments.cycles)
        return 0
    with tempfile.TemporaryDirectory(prefix="modelport-bench-") as folder:
        base = model.write(Path(folder))
        begin = time.monotonic()
        command = [sys.executable, __file__, f"--cycles={arguments.cycles}", f"--serve={base}"]
        output = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=1800).stdout
        took = time.monotonic() - begin
    sizes = {int(cycle): int(size) for cycle, size in (line.split() for line in output.splitlines())}
    growth = (sizes[arguments.cycles] / sizes[FIRST] - 1) * 100
    _print(sizes)
    print(f"{arguments.cycles} versions loaded and unloaded in {took:.0f} s; memory grew by {growth:.1f} %")
    if growth > arguments.limit:
        print(f"reloads: Expected growth of at most {arguments.limit:.1f} %. Received: {growth:.1f} %", file=sys.stderr)
        return 1
    return 0


def _cycle(base: Path, cycles: int) -> None:
    """The child: serve, swap, and print `<cycle> <resident bytes>` now and then."""
    with native_notes_held_back():
        from modelport_client import Client
        from modelport_serving import AUTO, Options, Server
        from modelport_serving.core.servable_state import ServableId, State

    path = base / str(model.VERSION)
    process = psutil.Process()
    pixels = model.request(1)
    marks = {FIRST, *(cycles * step // STEPS for step in range(1, STEPS + 1))}
    options = Options(
        model_name=model.NAME, model_base_path=str(base), port=AUTO, file_system_poll_wait_seconds=0
    )  # one look at the disk, so that the source does not interfere
    with Server(options) as server, Client(server.grpc_address) as client:
        for version in range(2, cycles + 2):
            server.core.manager.set_aspired(model.NAME, {version: path})
            deadline = time.monotonic() + CYCLE_S
            old = ServableId(model.NAME, version - 1)
            while (status := server.core.board.status(old)) is None or status.state is not State.END:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"Expected {old} to end within {CYCLE_S:.0f} s. Received: {status}")
                time.sleep(0.001)
            answered = client.predict(model.NAME, {model.INPUT: pixels}).version
            if answered != version:
                raise ValueError(f"Expected an answer by version {version}. Received: {answered}")
            if version - 1 in marks:
                print(version - 1, process.memory_info().rss, flush=True)


def _print(sizes: dict[int, int]) -> None:
    table = Table("cycles", title="resident memory of the server")
    for column in ("MB", f"÷ after {FIRST}"):
        table.add_column(column, justify="right")
    for cycle, size in sizes.items():
        table.add_row(f"{cycle:,}", f"{size / 1e6:,.1f}", f"{size / sizes[FIRST]:.3f}")
    Console(width=120).print(table)


if __name__ == "__main__":
    sys.exit(main())
