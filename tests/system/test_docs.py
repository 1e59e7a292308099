"""Every shell and Python block of the README is run, in order, in one shell, in an empty folder."""

import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from modelport.__main__ import SUBCOMMANDS

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text()


def blocks() -> list[str]:
    """The `sh` blocks as they are, the `python` blocks as input of a Python."""
    found = re.findall(r"```(sh|python)\n(.*?)```", README, re.DOTALL)
    return [code if kind == "sh" else f"python - <<'END'\n{code}END\n" for kind, code in found]


def taken(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.timeout(400)
def test_the_readme(tmp_path):
    busy = [port for port in (8500, 8501) if taken(port)]
    if busy:
        pytest.skip(f"the README's commands use ports 8500 and 8501; in use here: {busy}")
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    script = "set -euxo pipefail\ntrap 'kill $(jobs -p) 2>/dev/null; wait' EXIT\n" + "\n".join(blocks())
    environment = {"PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin", "HOME": str(tmp_path)}
    result = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=380,
        check=False,
    )
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    assert "seven" not in result.stderr or "Traceback" not in result.stderr


def test_every_subcommand_is_in_the_readme():
    missing = [name for name in SUBCOMMANDS if f"modelport {name}" not in README]
    assert missing == []


def test_every_link_leads_somewhere():
    targets = re.findall(r"\]\(([^)#]+)\)", README)
    broken = [target for target in targets if "://" not in target and not (ROOT / target).exists()]
    assert broken == []
