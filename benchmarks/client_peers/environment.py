"""ovmsclient's environment, made once and kept in build/; and one with our client alone, to be weighed."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
ENVIRONMENTS = ROOT / "build" / "bench-envs"
REQUIREMENTS = ROOT / "tests" / "clients_elsewhere" / "ovmsclient.txt"


class Weight(NamedTuple):
    """What an installation costs."""

    seconds: float
    megabytes: float
    packages: int


def ovmsclient(*arguments: str) -> dict[str, float] | str:
    """What its script measured; or why there is nothing."""
    python = ENVIRONMENTS / "ovmsclient" / "bin" / "python"
    try:
        if not python.exists():
            subprocess.run([sys.executable, "-m", "venv", python.parents[1]], check=True, timeout=120)
            pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
            subprocess.run([*pip, "-r", REQUIREMENTS], check=True, timeout=300, capture_output=True)
        script = Path(__file__).with_name("with_ovmsclient.py")
        done = subprocess.run(
            [python, "-I", script, *arguments], capture_output=True, text=True, timeout=300, check=True
        )
        found: dict[str, float] = json.loads(done.stdout)
    except subprocess.SubprocessError as error:
        return f"ovmsclient cannot be measured: {error}"
    return found


def of_our_client(folder: Path) -> Weight:
    """Install the base of this project, which is the contract and the client, into a new environment."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True, timeout=120)
    site = next((folder / "lib").glob("python*/site-packages"))
    before = _bytes(site)
    begin = time.monotonic()
    pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "-c", ROOT / "constraints.txt", ROOT], check=True, timeout=300, capture_output=True)
    seconds = time.monotonic() - begin
    names = [path.name for path in site.glob("*.dist-info") if not path.name.startswith(("pip-", "setuptools-"))]
    return Weight(seconds, (_bytes(site) - before) / 1e6, len(names))


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
