"""A file system without renames or locks is refused, once, with the reason."""

import os
import subprocess
import sys

import pytest

from modelport import layout, probe
from modelport.errors import NotFound
from modelport.repository import Repository
from tests.support.tracing import TRACER


def test_it_is_tried_once(tmp_path):
    probe.check(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [layout.PROBED]
    before = (tmp_path / layout.PROBED).stat().st_mtime_ns
    probe.check(tmp_path)
    assert (tmp_path / layout.PROBED).stat().st_mtime_ns == before
    assert Repository(tmp_path).models() == []


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(NotFound):
        probe.check(tmp_path / "nothing")


@TRACER
@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ("flock:error=ENOLCK", "there are no locks (No locks available)"),
        ("flock:retval=0", "two writers can hold the same lock"),
        ("rename,renameat,renameat2:retval=0", "renamed in one step"),
        ("mkdir,mkdirat:error=EROFS", "Read-only file system"),
    ],
)
def test_what_does_not_work_is_refused(tmp_path, rule, told):
    """A tracer lets the system calls fail, or do nothing, as such file systems do."""
    code = "import sys; from pathlib import Path; from modelport import probe; probe.check(Path(sys.argv[1]))"
    calls = rule.partition(":")[0]
    command = ["strace", "-f", "-qq", "-o", os.devnull, "-e", f"trace={calls}", "-e", f"inject={rule}"]
    done = subprocess.run(
        [*command, sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert told in done.stderr.splitlines()[-1]
    assert not (tmp_path / layout.PROBED).exists()
