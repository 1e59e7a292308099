"""Does anybody notice a new version? 100 versions, one after another, under a steady load of gRPC requests.

`modelport serve` polls a base path into which each version is renamed as soon as the one before is AVAILABLE. A client
in a process of its own sends requests at a fixed rate, whatever the server does (open loop: a request's latency counts
from the moment that it was due). Every answer is checked: the values against the version that gave them, the version
against the time at which it was published. A failed or wrong answer is an exit code of 1. Latencies during the swaps
are printed as ratios to those before the first one, in the same run.

    python benchmarks/swaps.py [--versions 100] [--rate 300]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from serving_peers.checkouts import HERE, environment
from serving_peers.cores import Cores, own_s
from serving_peers.launch import ServerTree, free_port
from swapping import versions
from swapping.watching import Asked, Watcher

from modelport_client import Client

BEFORE_S = 10.0
SETTLE_S = 2.0  # at the start of the load, not counted; and after the last swap
START_S = 60.0
SWAP_S = 30.0
LOOK_S = 0.05
SHARES = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999, "max": 1.0}


def main() -> int:
    """Swap, and judge what the load saw."""
    parser = argparse.ArgumentParser(description="Swaps of versions under load.")
    parser.add_argument("--versions", type=int, default=100, help="how many follow the first")
    parser.add_argument("--rate", type=float, default=300.0, help="requests a second")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="modelport-bench-") as folder:
        work = Path(folder)
        base, made = work / versions.NAME, work / "made"
        base.mkdir()
        versions.write(made, arguments.versions + 1)
        (made / "1").rename(base / "1")
        port = free_port()
        flags = [f"--model_name={versions.NAME}", f"--model_base_path={base}", f"--port={port}"]
        command = [sys.executable, "-m", "modelport", "serve", *flags]
        with (
            ServerTree(command, work / "server.log", environment(HERE)) as tree,
            Client(f"127.0.0.1:{port}", retry=False) as client,
        ):
            tree.wait_until(lambda: client.wait_until_available(versions.NAME, timeout=1.0), START_S)
            with Watcher(client.target, arguments.rate, work / "asked") as watcher:
                time.sleep(SETTLE_S)
                cores, begin = Cores(tree.cpu_s, watcher.cpu_s, own_s), time.monotonic()
                time.sleep(BEFORE_S)
                others_before = cores.others()
                cores = Cores(tree.cpu_s, watcher.cpu_s, own_s)
                published = {1: 0.0} | _swap(client, made, base, arguments.versions)
                end = time.monotonic()
                others = cores.others()
                time.sleep(SETTLE_S)
    code = _judge(watcher.asked, published, begin, end)
    print(f"Other programs took {others_before:.0%} of the cores before the swaps and {others:.0%} during them.")
    return code


def _swap(client: Client, made: Path, base: Path, count: int) -> dict[int, float]:
    """Publish version after version; returns when each one was (monotonic clock)."""
    published = {}
    for version in range(2, count + 2):
        published[version] = time.monotonic()
        (made / str(version)).rename(base / str(version))
        deadline = time.monotonic() + SWAP_S
        while not any(s.version == version and s.state == "AVAILABLE" for s in client.status(versions.NAME)):
            if time.monotonic() > deadline:
                raise TimeoutError(f"Expected version {version} to be available within {SWAP_S:.0f} s.")
            time.sleep(LOOK_S)
    return published


def _judge(asked: Sequence[Asked], published: dict[int, float], begin: float, end: float) -> int:
    first_swap = published[2]
    before = [one.latency_s for one in asked if begin <= one.due < first_swap and not one.error]
    during = [one.latency_s for one in asked if first_swap <= one.due < end and not one.error]
    table = Table("latency", title="steady load; ratio = during / before")
    for column in ("before ms", "during swaps ms", "ratio"):
        table.add_column(column, justify="right")
    for name, share in SHARES.items():
        a, b = _percentile(before, share), _percentile(during, share)
        table.add_row(name, f"{a * 1e3:.2f}", f"{b * 1e3:.2f}", f"{b / a:.2f}")
    Console(width=120).print(table)
    failed = Counter(one.error for one in asked if one.error)
    early = [one for one in asked if not one.error and one.answered < published.get(one.version, float("inf"))]
    answered = {one.version for one in asked if not one.error}
    print(
        f"{len(published) - 1} swaps in {end - first_swap:.0f} s; {len(asked):,} requests, {failed.total()} failed, "
        f"{len(early)} answered by a version that was not there; {len(answered)} of {len(published)} versions answered"
    )
    for error, count in failed.most_common(5):
        print(f"swaps: {count} × {error[:300]}", file=sys.stderr)
    return 1 if failed or early else 0


def _percentile(latencies: Sequence[float], share: float) -> float:
    return sorted(latencies)[min(len(latencies) - 1, int(share * len(latencies)))]


if __name__ == "__main__":
    sys.exit(main())
