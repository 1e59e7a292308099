"""The answers of the real server, recorded, against ours: the corpus beside the project, where it is there.

What differs on purpose stands in docs/differences.md with its reason and the id of the recording; anything else fails.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
CORPUS = Path(os.environ.get("MODELPORT_CONFORMANCE", ROOT.parent / "shared" / "conformance"))
SERVE = f"{Path(sys.executable).with_name('modelport')} serve"

pytestmark = [
    pytest.mark.skipif(
        not (CORPUS / "replay.py").is_file(),
        reason=f"the recordings are not at {CORPUS}; MODELPORT_CONFORMANCE says where else",
    ),
    pytest.mark.timeout(1200),
]


def deliberate() -> set[str]:
    """The recordings that docs/differences.md names."""
    text = (ROOT / "docs" / "differences.md").read_text()
    return set(re.findall(r"`((?:scenario|grpc|rest)\.[\w.]+)`", text))


def replay(report: Path, *arguments: str) -> tuple[dict[str, str], int]:
    """Failures by id, and how many recordings were replayed."""
    command = [sys.executable, str(CORPUS / "replay.py"), "--server-command", SERVE, "--json", str(report), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1100, check=False)
    assert report.is_file(), done.stdout + done.stderr
    results = json.loads(report.read_text())["results"]
    return {result["id"]: result["failure"] for result in results if result["failure"]}, len(results)


@pytest.mark.slow
def test_requests(tmp_path):
    failures, count = replay(tmp_path / "report.json", "--no-scenarios", "--port-base", "19500")
    unexpected = {name: failure for name, failure in failures.items() if name not in deliberate()}
    assert not unexpected
    assert count >= 1109


@pytest.mark.slow
def test_life_cycles(tmp_path):
    failures, count = replay(tmp_path / "report.json", "--only-scenarios", "--jobs", "6", "--port-base", "20500")
    unexpected = {name: failure for name, failure in failures.items() if name not in deliberate()}
    assert not unexpected
    assert count >= 57
    assert {name for name in deliberate() if name.startswith("scenario.")} <= set(failures), "no longer a difference"


def test_few_differences_touch_the_recordings():
    assert len(deliberate()) < 10
