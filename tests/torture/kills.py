"""Operations that are killed: at each of their system calls that write, and at random moments."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
# System calls by which files change. Those on standard output are left out.
CALLS = (
    "write,writev,pwrite64,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,rmdir,ftruncate,fsync,chmod,fchmod,"
    "fchmodat,chown,fchown,link,symlink"
)
_FILTERED = "--seccomp-bpf"  # stops at these calls alone, three times as fast; no signal is injected at such stops
_LINE = re.compile(r"^\d+ +(\w+)\((.*)$")
_ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}


def strace() -> str | None:
    """The tracer, where it is installed and may trace."""
    found = shutil.which("strace")
    if found is None:
        return None
    tried = subprocess.run([found, "-qq", "-o", "/dev/null", "true"], capture_output=True, check=False)
    return found if tried.returncode == 0 else None


@dataclass(frozen=True)
class Point:
    """The nth time that an operation makes a system call."""

    call: str
    nth: int


def points(operation: str, root: Path, trace: Path) -> list[Point]:
    """All system calls of an operation that write."""
    done = _traced([_FILTERED, "-o", str(trace), "-e", f"trace={CALLS}"], operation, root)
    assert done.returncode == 0, done.stderr
    counts: Counter[str] = Counter()
    found = []
    for line in trace.read_text().splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        counts[match[1]] += 1
        if not match[2].startswith(("1, ", "2, ", "-1")):
            found.append(Point(match[1], counts[match[1]]))
    return found


def inject(operation: str, root: Path, point: Point, what: str) -> subprocess.CompletedProcess[str]:
    """Run an operation; at a point of it something happens, such as `signal=KILL` or `error=ENOSPC`."""
    rule = f"inject={point.call}:{what}:when={point.nth}"
    how = [] if what.startswith("signal") else [_FILTERED]
    return _traced([*how, "-o", "/dev/null", "-e", f"trace={point.call}", "-e", rule], operation, root)


def _traced(flags: list[str], operation: str, root: Path) -> subprocess.CompletedProcess[str]:
    command = ["strace", "-f", "-qq", *flags, sys.executable, "-m", "tests.torture.kills", operation, str(root)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=_ENVIRONMENT, cwd=ROOT)


def at_random(operation: str, root: Path, longest_s: float, rng: random.Random) -> bool:
    """Fork, let the child do it, and kill it at a random moment; whether it was killed before its end."""
    child = os.fork()
    if child == 0:
        _quietly(operation, root)
    time.sleep(rng.uniform(0, longest_s))
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def _quietly(operation: str, root: Path) -> None:
    from tests.torture.repositories import OPERATIONS

    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    try:
        OPERATIONS[operation](root)
    finally:
        os._exit(0)


def durations(template: Path, root: Path) -> Iterator[tuple[str, float]]:
    """How long each operation takes in a process that has all it needs, in seconds."""
    from tests.torture.repositories import OPERATIONS, fresh

    for name in OPERATIONS:
        fresh(template, root)
        child = os.fork()
        begin = time.monotonic()
        if child == 0:
            _quietly(name, root)
        os.waitpid(child, 0)
        yield name, time.monotonic() - begin


if __name__ == "__main__":
    from tests.torture.repositories import OPERATIONS

    code = OPERATIONS[sys.argv[1]](Path(sys.argv[2]))
    sys.exit(code if isinstance(code, int) and not isinstance(code, bool) else 0)
