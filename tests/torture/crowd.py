"""Publishers, promoters and collectors at once; prints what came of it.

python -m tests.torture.crowd [--seconds 60] [--processes 8]
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import random
import sys
import tempfile
import time
from pathlib import Path

from modelport import history
from modelport.errors import ModelportError, NotFound
from modelport.repository import Repository
from modelport_release import collecting, promote
from tests.torture import repositories


def main() -> int:
    """Run; the exit code is 1 when something was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--processes", type=int, default=8)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="modelport-crowd-") as folder, contextlib.redirect_stdout(io.StringIO()):
        root = repositories.make(Path(folder) / "models")
        before = len(history.read(root / repositories.MODEL))
        pids = [os.fork() or _work(root, number, options.seconds) for number in range(options.processes)]
        for pid in pids:
            _, status = os.waitpid(pid, 0)
            if status:
                print(f"process {pid} ended with {status}", file=sys.stderr)
                return 1
        counts = [int(path.read_text()) for path in Path(folder).glob("changes-*")]
        repositories.check(root)
        repositories.sweep(root)
        repositories.check_clean(root)
        entries = history.read(root / repositories.MODEL)
        told = [entry for entry in entries[before:] if entry.why == "crowd" or entry.action == "publish"]
        numbers = [entry.version for entry in entries if entry.action == "publish"]
    lost = sum(counts) - len(told) + 1  # the sweep publishes one
    if lost:
        print(f"{sum(counts)} changes were told to be done, and the history has {len(told) - 1}", file=sys.stderr)
        return 1
    if len(numbers) != len(set(numbers)):
        print("a number was given twice", file=sys.stderr)
        return 1
    print(
        f"{options.processes} processes in {options.seconds:g} s: {sum(counts)} changes, each a line. Nothing was lost."
    )
    return 0


def _work(root: Path, number: int, seconds: float) -> int:
    """One process: the first two promote, the third collects, the others publish."""
    os.dup2(os.open(os.devnull, os.O_RDWR), 1)
    end, rng, changes = time.monotonic() + seconds, random.Random(number), 0  # noqa: S311  # choices, not secrets
    code = 1
    try:
        while time.monotonic() < end:
            changes += _change(root, number, rng)
        (root.parent / f"changes-{number}").write_text(str(changes))
        code = 0
    finally:
        os._exit(code)


def _change(root: Path, number: int, rng: random.Random) -> int:
    """How many lines it is in the history."""
    model = repositories.MODEL
    if number < 2:
        said: list[str] = []
        version = rng.choice(Repository(root).versions(model)[-2:])
        try:
            promote(model, version, repository=root, why="crowd", say=said.append)
        except NotFound:  # a collector was there first
            return 0
        return int(not any("so already" in line for line in said))
    if number == 2:
        found = collecting.collect(Repository(root), model, 3, why="crowd")
        time.sleep(0.02)
        return len(found.versions)
    with contextlib.suppress(ModelportError):
        repositories.publish(root, f"{number}-{rng.random()}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
