"""Every block of docs/training.md is run, in order, in one shell, in an empty folder."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/training.md").read_text()


def script() -> str:
    parts = []
    for kind, code in re.findall(r"```(sh|python)\n(.*?)```", TEXT, re.DOTALL):
        if kind == "sh":
            parts.append(code)
        else:
            name = re.match(r"# (\S+)\.py", code)[1]
            parts.append(f"cat > {name}.py <<'END'\n{code}END\nmodelport train --recipe {name} --output runs/{name}\n")
    return "set -euxo pipefail\n" + "\n".join(parts)


def diamonds(folder: Path) -> str:
    """Why the package with the diamonds cannot be had; empty where it can."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, "plotnine==0.15.9"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return "" if done.returncode == 0 else done.stderr.strip().splitlines()[-1]


@pytest.mark.timeout(300)
def test_the_document(tmp_path):
    if why := diamonds(tmp_path):
        pytest.skip(f"needs the package index, for the diamonds of plotnine: {why}")
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", script()],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert (tmp_path / "models/price/1/saved_model.pb").exists()
