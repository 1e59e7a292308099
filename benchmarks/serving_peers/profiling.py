"""Where our server spends its time: py-spy, from outside, while 16 callers ask."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table

from serving_peers import environments, generator, model
from serving_peers.checkouts import environment
from serving_peers.contestants import CONTESTANTS, OURS, Ports
from serving_peers.exchanges import Exchange
from serving_peers.generator import BadRun
from serving_peers.launch import ServerTree, free_port
from serving_peers.measure import START_S, WARM_UP_S, Plan

CALLERS = 16
RECORD_S = 5
RATE = 500  # samples a second
TOP = 25
_THREAD = re.compile(r"thread \([^)]*\): ?(\S*)")


def profile(plan: Plan, console: Console) -> None:
    """Print the functions with the most samples of their own, for each protocol and number of rows.

    Raises:
        BadRun: py-spy cannot be installed, or may not look into the server (it needs ptrace).
    """
    spy = environments.ensure(plan.cache, "py-spy", ["py-spy"]) / "py-spy"
    ports = Ports(free_port(), free_port())
    ours = CONTESTANTS[OURS]
    command, variables = ours.command(plan.cache, plan.base, ports), environment(ours.checkout)
    with ServerTree(command, plan.work / "server.log", variables) as tree:
        for exchange in ours.exchanges:
            for rows in plan.rows:
                pixels = model.request(rows)
                tree.wait_until(partial(exchange.probe, ports.of(exchange), pixels), START_S)
                samples = _record(spy, tree, exchange, ports, plan.work, exchange.body(pixels))
                console.print(_table(samples, f"{exchange.name}, {rows} rows a request, {CALLERS} callers"))


def _record(spy: Path, tree: ServerTree, exchange: Exchange, ports: Ports, work: Path, data: bytes) -> Counter[str]:
    """Samples of threads that were running, by thread and stack."""
    body, out = work / "body", work / "stacks"
    body.write_bytes(data)
    port = ports.of(exchange)
    generator.run(exchange, port, body, CALLERS, WARM_UP_S)
    command = [str(spy), "record", "--format=raw", "--threads", "--function", "--nonblocking"]
    command += [f"--duration={RECORD_S}", f"--rate={RATE}", f"--output={out}", f"--pid={tree.pid}"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as recorder:
        load = generator.run(exchange, port, body, CALLERS, RECORD_S + 1)
        _, errors = recorder.communicate(timeout=60)
    if recorder.returncode:
        raise BadRun(f"py-spy ended with {recorder.returncode}: {errors.strip()[-300:]}")
    print(f"{load.rate:,.0f} requests/s while recorded")
    lines = (line.rpartition(" ") for line in out.read_text().splitlines())
    return Counter({stack: int(count) for stack, _, count in lines})


def _table(samples: Counter[str], title: str) -> Table:
    threads: Counter[str] = Counter()
    functions: Counter[tuple[str, str]] = Counter()
    for stack, count in samples.items():
        first, last = stack.partition(";")[0], stack.rpartition(";")[2]
        found = _THREAD.match(first)
        thread = (found[1] if found else "").partition("_")[0] or "main"  # threads of a pool are numbered: run_0
        threads[thread] += count
        functions[thread, last] += count
    total = samples.total() or 1
    share = ", ".join(f"{name} {count / total:.0%}" for name, count in threads.most_common())
    made = Table("self", "thread", "function", title=f"{title}: {share}", title_justify="left")
    for (thread, function), count in functions.most_common(TOP):
        made.add_row(f"{count / total:.1%}", thread, function)
    return made
