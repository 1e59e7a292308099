"""`modelport train RECIPE --workers N`: the workers as processes of this machine, one display, a log of each."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TextIO

from modelport_training.workers.cluster import VARIABLE, Cluster

_END_S = 2.0  # that a worker has to end by itself once another one is gone
_POLL_S = 0.1


def launch(argv: Sequence[str], count: int, logs: Path, stream: TextIO) -> int:
    """Start the workers and wait for their end.

    Args:
        argv: the command line of each, after `modelport train`.
        count: workers.
        logs: folder that gets `worker-N.log` of each.
        stream: is shown what the chief prints.

    Returns:
        0 when all have ended well, else 1; the others are ended then.
    """
    logs.mkdir(parents=True, exist_ok=True)
    addresses = [f"127.0.0.1:{port}" for port in _free_ports(count)]
    threads = str(max(1, (os.cpu_count() or 1) // count))
    with ExitStack() as stack:
        processes = []
        for rank in range(count):
            log = stack.enter_context((logs / f"worker-{rank}.log").open("wb"))
            environment = {
                "TF_NUM_INTRAOP_THREADS": threads,
                "OMP_NUM_THREADS": threads,
                **os.environ,
                VARIABLE: Cluster(addresses, rank).to_json(),
            }
            process = subprocess.Popen(
                [sys.executable, "-u", "-m", "modelport_training.cli", *argv],
                env=environment,
                stdout=subprocess.PIPE if rank == 0 else log,
                stderr=log,
            )
            stack.callback(_end, process)
            processes.append(process)
        shown = threading.Thread(target=_copy, args=(processes[0].stdout, stream), daemon=True)
        shown.start()
        failed = _wait(processes)
        if failed is None:
            shown.join()
            return 0
        deadline = time.monotonic() + _END_S
        while any(process.poll() is None for process in processes) and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        print(_told(failed, processes, logs), file=sys.stderr)
        return 1


def _wait(processes: Sequence[subprocess.Popen[bytes]]) -> int | None:
    """Wait for all; the first that fails, None where none does."""
    while True:
        codes = [process.poll() for process in processes]
        for rank, code in enumerate(codes):
            if code:
                return rank
        if all(code == 0 for code in codes):
            return None
        time.sleep(_POLL_S)


def _told(rank: int, processes: Sequence[subprocess.Popen[bytes]], logs: Path) -> str:
    code = processes[rank].returncode
    killed = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
    log = logs / f"worker-{rank}.log"
    words = [line for line in log.read_text("utf-8", "replace").splitlines() if line.startswith("modelport train:")]
    if code >= 0 and words:
        return words[-1]
    return (
        f"modelport train: worker {rank} {killed}, so the others were ended. --resume goes on from the last epoch, "
        f"where there is one. Its log: {log}"
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _copy(source: IO[bytes] | None, stream: TextIO) -> None:
    for line in source or ():
        print(line.decode("utf-8", "replace"), end="", file=stream, flush=True)


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [one.getsockname()[1] for one in sockets]
