"""Virtual environments of other people's clients, which need other versions than ours: made once, kept in build/."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
NO_NETWORK = ("NewConnectionError", "ConnectTimeoutError", "NameResolutionError", "ProxyError", "Max retries exceeded")


def python_of(name: str, requirements: Path, folder: str = "client-envs") -> Path:
    """The interpreter of an environment with exactly these requirements, all of them pinned.

    Skips the test, with pip's words, where packages cannot be fetched; fails where they cannot be installed.
    """
    environment = ROOT / "build" / folder / name
    python, ready = environment / "bin" / "python", environment / ".ready"
    digest = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()
    if ready.is_file() and ready.read_text() == digest:
        return python
    shutil.rmtree(environment, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", environment], check=True, timeout=120)
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--retries=1"]
    install = subprocess.run([*pip, "-r", requirements], capture_output=True, text=True, timeout=170)
    said = install.stdout + install.stderr
    no_network = next((word for word in NO_NETWORK if word in said), None)
    if install.returncode and no_network:
        last = said.strip().splitlines()[-1]
        pytest.skip(f"the packages of {requirements.name} cannot be fetched ({no_network}): {last}")
    assert install.returncode == 0, f"{requirements.name} does not install:\n{said}"
    ready.write_text(digest)
    return python


def run_client(python: Path, script: Path, *arguments: str) -> str:
    """What a script prints in such an environment; its own assertions fail the test.

    Without Python's variables, so that nothing of ours is imported there.
    """
    run = subprocess.run(
        [python, "-I", script, *arguments], capture_output=True, text=True, timeout=60, cwd=script.parent
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout
