"""The compose stack under test, on the real image where the engine has it, else on the stand-in."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
COMPOSE = Path(sys.executable).with_name("docker-compose")
SERVING = "tensorflow/serving:2.21.0"
JOBS = "modelport:0.1.0"
STANDIN = "stand-in (the embedded server behind the real image's name)"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Stack:
    """One project of docker-compose.yml, unmodified; `on` says which server it runs."""

    def __init__(self, host: str, folder: Path, project: str = "modelport-test") -> None:
        self.folder = folder
        self.project = project
        self.grpc_port, self.rest_port = free_port(), free_port()
        self.models = folder / "models"
        self.models.mkdir(parents=True, exist_ok=True)
        (folder / "runs").mkdir(exist_ok=True)
        self.environment = {
            **{name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "DOCKER_CONFIG")},
            "MODELPORT_MODELS": str(self.models),
            "MODELPORT_RUNS": str(folder / "runs"),
            "SERVING_GRPC_PORT": str(self.grpc_port),
            "SERVING_REST_PORT": str(self.rest_port),
            "STANDIN_PACKAGES": str(next(Path(sys.prefix).glob("lib/python*/site-packages"))),
            "STANDIN_SOURCE": str(ROOT),
            **({"DOCKER_HOST": host} if host else {}),
        }
        self.on, self.files = self._images()

    def _images(self) -> tuple[str, list[str]]:
        real = os.environ.get("SERVING_IMAGE", "")
        if real and self.docker("image", "inspect", real, check=False).returncode == 0:
            self.environment["SERVING_IMAGE"] = real
            return real, ["docker-compose.yml"]
        if self.docker("image", "inspect", SERVING, check=False).returncode != 0:
            subprocess.run(
                [str(ROOT / "deploy/standin/build.sh"), SERVING, JOBS],
                env=self.environment,
                check=True,
                capture_output=True,
                timeout=300,
            )
        return STANDIN, ["docker-compose.yml", "deploy/standin/compose.standin.yml"]

    def docker(self, *arguments: str, check: bool = True, timeout: float = 120) -> subprocess.CompletedProcess:
        return self._run(["docker", *arguments], check, timeout)

    def compose(self, *arguments: str, check: bool = True, timeout: float = 300) -> subprocess.CompletedProcess:
        files = [word for file in self.files for word in ("-f", str(ROOT / file))]
        command = [str(COMPOSE), "--project-directory", str(ROOT), "-p", self.project, *files, *arguments]
        return self._run(command, check, timeout)

    def _run(self, command: list[str], check: bool, timeout: float) -> subprocess.CompletedProcess:
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=timeout, check=False, cwd=ROOT
        )
        assert not check or done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
        return done

    @property
    def grpc(self) -> str:
        return f"127.0.0.1:{self.grpc_port}"

    @property
    def rest(self) -> str:
        return f"http://127.0.0.1:{self.rest_port}"

    def container(self, service: str = "serving") -> str:
        return self.compose("ps", "-q", service).stdout.strip()

    def state(self, service: str = "serving") -> dict:
        return json.loads(self.docker("inspect", self.container(service)).stdout)[0]["State"]

    def wait_for_health(self, wanted: str, timeout: float = 120) -> dict:
        deadline = time.monotonic() + timeout
        while (state := self.state())["Health"]["Status"] != wanted:
            assert time.monotonic() < deadline, f"not {wanted} within {timeout} s: {state['Health']}"
            time.sleep(0.5)
        return state["Health"]
