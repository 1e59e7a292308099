"""Every input of the corpus, seeds and findings, holds the checks; and the fuzzers themselves run for some seconds."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz import json_checks, wire_checks
from tests.fuzz.stack import on_a_used_stack

HERE = Path(__file__).parent
SECONDS = 8
CHECKS = {"json": json_checks.check, "wire": wire_checks.check}
FILES = [
    pytest.param(name, path, id=f"{name}-{path.name}") for name in CHECKS for path in HERE.glob(f"corpus/{name}/*")
]


@pytest.mark.parametrize(("name", "path"), FILES)
def test_replay(name, path):
    on_a_used_stack(CHECKS[name], path.read_bytes())


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None, reason="atheris has wheels for Linux on x86-64 only; not installed"
)
@pytest.mark.parametrize("name", list(CHECKS))
def test_the_fuzzer_finds_nothing_new(name, tmp_path):
    """A short run from a fixed seed; `make fuzz` is the long one. Findings are kept in `tmp_path` and printed."""
    found = tmp_path / "new"
    found.mkdir()
    flags = [f"-max_total_time={SECONDS}", "-seed=1", "-max_len=4096", f"-artifact_prefix={tmp_path}/"]
    run = subprocess.run(
        [sys.executable, HERE / f"fuzz_{name}.py", *flags, found, HERE / "corpus" / name],
        capture_output=True,
        text=True,
        timeout=SECONDS + 60,
    )
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-4000:]
    assert "DONE" in run.stderr
