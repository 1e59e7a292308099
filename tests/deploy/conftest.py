"""kubectl and the validators, in an environment of their own."""

import fcntl
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients_elsewhere.environments import ROOT, python_of

HERE = Path(__file__).parent
TO_JSON = "import json, sys, yaml; print(json.dumps([d for d in yaml.safe_load_all(sys.stdin) if d]))"


@pytest.fixture(scope="session")
def kubernetes_python() -> Path:
    """The interpreter of the environment; kubectl and kubernetes-validate stand beside it."""
    (ROOT / "build").mkdir(exist_ok=True)
    with (ROOT / "build" / "deploy-envs.lock").open("w") as lock:  # tests run in several processes
        fcntl.flock(lock, fcntl.LOCK_EX)
        return python_of("kubernetes", HERE / "kubernetes.txt", folder="deploy-envs")


@pytest.fixture(scope="session")
def render(kubernetes_python) -> Callable[[Path], str]:
    """What `kubectl kustomize` makes of a folder."""

    def run(folder: Path) -> str:
        command = [kubernetes_python.with_name("kubectl"), "kustomize", folder]
        result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert result.returncode == 0, result.stderr
        assert not result.stderr, result.stderr  # deprecated fields are warned about
        return result.stdout

    return run


@pytest.fixture(scope="session")
def read_yaml(kubernetes_python) -> Callable[[str], list[dict]]:
    """The documents of a YAML text."""

    def read(text: str) -> list[dict]:
        command = [kubernetes_python, "-I", "-c", TO_JSON]
        return json.loads(subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout)

    return read
