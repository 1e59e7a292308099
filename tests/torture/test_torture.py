"""Writers of a repository are killed, and run out of disk, at each of their system calls; and many write at once."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.tracing import TRACER
from tests.torture import kills, repositories

pytestmark = pytest.mark.slow  # hundreds of processes

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    return repositories.make(tmp_path_factory.mktemp("torture") / "template")


@TRACER
@pytest.mark.timeout(300)
@pytest.mark.parametrize("operation", repositories.OPERATIONS)
def test_killed_at_each_call_that_writes(template, tmp_path, operation):
    root = repositories.fresh(template, tmp_path / "models")
    found = kills.points(operation, root, tmp_path / "trace")
    assert len(found) >= 3
    for point in found:
        repositories.fresh(template, root)
        done = kills.inject(operation, root, point, "signal=KILL")
        assert done.returncode in (-9, 137), f"{point}: {done}"
        repositories.check(root)
        repositories.OPERATIONS[operation](root)  # the next one goes on
        repositories.check(root)
        repositories.sweep(root)
        repositories.check_clean(root)


@TRACER
@pytest.mark.timeout(300)
@pytest.mark.parametrize("error", ["ENOSPC", "EROFS"])
@pytest.mark.parametrize("operation", repositories.OPERATIONS)
def test_the_disk_refuses_at_each_call_that_writes(template, tmp_path, operation, error):
    root = repositories.fresh(template, tmp_path / "models")
    for point in kills.points(operation, root, tmp_path / "trace"):
        repositories.fresh(template, root)
        done = kills.inject(operation, root, point, f"error={error}")
        repositories.check(root)
        assert done.returncode in (0, 1), f"{point}: {done}"  # 0: what could not be removed is hidden, and swept later
        if done.returncode:
            text = {"ENOSPC": "No space left on device", "EROFS": "Read-only file system"}[error]
            assert text in done.stderr, f"{point}: {done}"
        assert operation == "publish" or "Traceback" not in done.stderr, f"{point}: {done.stderr}"
        repositories.OPERATIONS[operation](root)
        repositories.sweep(root)
        repositories.check_clean(root)


def run(module, *flags):
    command = [sys.executable, "-m", f"tests.torture.{module}", *flags]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-1000:]
    return done.stdout


@pytest.mark.timeout(300)
def test_killed_at_random_moments():
    assert "Nothing was lost" in run("random_kills", "--kills", "220")


@pytest.mark.timeout(300)
def test_a_crowd():
    assert "Nothing was lost" in run("crowd", "--seconds", "10")
