"""The demo, run as `make demo` runs it."""

import re
import subprocess
import sys

import pytest


@pytest.mark.timeout(300)
def test_the_demo(tmp_path):
    result = subprocess.run(
        [sys.executable, "-m", "modelport", "demo"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    text = result.stdout
    requests, first, second, failed = map(
        int,
        re.search(r"(\d+) requests: version 1 answered (\d+), version 2 answered (\d+), (\d+) failed", text).groups(),
    )
    assert (first + second, failed) == (requests, 0)
    assert first > 100
    assert second > 50
    for words in ("latency before: p50", "latency after: p50", "READY", "AVAILABLE", "Next:", "train ", "swap "):
        assert words in text
    for noise in ("oneDNN", "Traceback", "WARNING"):
        assert noise not in text + result.stderr
    assert len(list((tmp_path / "models" / "digits").glob("[0-9]*"))) == 2
