"""The load: h2load, a generator in C, for gRPC and HTTP/1.1 alike; closed loop, one connection for each caller.

h2load counts HTTP status codes, which are 200 for a refused gRPC call too. A refusal has no body, though, so the bytes
of all answers together say whether one was short: `Load.check` compares them with an answer that was read.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from serving_peers.exchanges import Exchange

COMMAND = "h2load"
_PACKAGE = "nghttp2-client"
_COUNTS = re.compile(r"requests: \d+ total, \d+ started, (\d+) done, (\d+) succeeded")
_STATUSES = re.compile(r"status codes: (\d+) 2xx")
_DATA = re.compile(r"\((\d+)\) data")
_RATE = re.compile(r"finished in [\d.]+\w*, ([\d.]+) req/s")
_JSON_LENGTH_TOLERANCE = 0.02  # the last digits of a probability depend on which rows were computed together


class BadRun(Exception):
    """A run that yields no figure; the text says why."""


@dataclass(frozen=True)
class Load:
    """What one run of the generator came to; times in seconds."""

    requests: int
    rate: float
    p50: float
    p99: float
    data_bytes: int

    def check(self, exchange: Exchange, answer_bytes: int, callers: int) -> None:
        """Refuse a run in which answers were shorter or longer than the one that was read.

        Raises:
            BadRun: they were. The bytes of the `callers` answers cut off by the end of the run may come on top.
        """
        slack = 0 if exchange.grpc else int(self.requests * answer_bytes * _JSON_LENGTH_TOLERANCE)
        least = self.requests * answer_bytes - slack
        most = (self.requests + callers) * answer_bytes + slack
        if not least <= self.data_bytes <= most:
            raise BadRun(
                f"Expected {self.requests} answers of {answer_bytes} bytes. Received: {self.data_bytes} bytes in all"
            )


def set_up() -> None:
    """Install h2load where it is missing and we may.

    Raises:
        BadRun: it is missing, and we are not root or have no apt-get.
    """
    if shutil.which(COMMAND):
        return
    if os.geteuid() or not shutil.which("apt-get"):
        raise BadRun(f"Expected {COMMAND} on the PATH. Install it: apt-get install {_PACKAGE} (as root)")
    for arguments in (["update", "-qq"], ["install", "-y", "-qq", _PACKAGE]):
        done = subprocess.run(["apt-get", *arguments], capture_output=True, text=True, timeout=600)  # noqa: S607
        if done.returncode:
            raise BadRun(f"apt-get {' '.join(arguments)}: {done.stderr.strip()[-300:]}")


def run(exchange: Exchange, port: int, body: Path, callers: int, seconds: float) -> Load:
    """Load a server for that long.

    Args:
        exchange: the protocol.
        port: of 127.0.0.1.
        body: a file with the request's body.
        callers: how many ask at a time, each again as soon as it was answered.
        seconds: length of the run.

    Raises:
        BadRun: an answer was no HTTP 200, a connection broke, or nothing was answered.
    """
    log = body.with_suffix(".log")
    log.unlink(missing_ok=True)  # h2load appends
    command = [
        COMMAND,
        f"--duration={round(seconds * 1000)}ms",
        f"--clients={callers}",
        f"--log-file={log}",
        f"--data={body}",
    ]
    command += [f"--header={name}: {value}" for name, value in exchange.headers.items()]
    command += [] if exchange.grpc else ["--h1"]
    done = subprocess.run(
        [*command, f"http://127.0.0.1:{port}{exchange.path}"], capture_output=True, text=True, timeout=seconds + 60
    )
    counts, statuses, data, rate = (p.search(done.stdout) for p in (_COUNTS, _STATUSES, _DATA, _RATE))
    if done.returncode or not (counts and statuses and data and rate):
        raise BadRun(f"{COMMAND} ended with {done.returncode}: {(done.stderr or done.stdout).strip()[-300:]}")
    answered, good = int(counts[1]), min(int(counts[2]), int(statuses[1]))
    if not answered or good < answered:
        raise BadRun(f"Expected HTTP 200 for all requests. Received: {good} of {answered}")
    times = sorted(int(line.rpartition("\t")[2]) / 1e6 for line in log.read_text().splitlines())
    return Load(answered, float(rate[1]), _percentile(times, 0.5), _percentile(times, 0.99), int(data[1]))


def _percentile(ascending: list[float], share: float) -> float:
    return ascending[min(len(ascending) - 1, int(share * len(ascending)))]
