"""The compose stack under test, on the real image where the engine has it, else on the stand-in."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

from modelport_serving.docker.images import SERVING
from tests.support.ports import free_port

ROOT = Path(__file__).parents[3]
COMPOSE = Path(sys.executable).with_name("docker-compose")
JOBS = "modelport:0.1.0"
STANDIN = "the stack on the stand-in (the embedded server behind the real image's name)"
_KEPT = ("PATH", "HOME")


class Stack:
    """One project of docker-compose.yml, unmodified; `on` says which server it runs.

    Args:
        host: address of the engine; "" for the client's own default.
        folder: gets the models, the runs and a copy of the configuration.
        project: the name under which Compose keeps it apart from others.
        models: of another stack, to be served as well: a copy of them.
        override: a further compose file.
    """

    def __init__(
        self, host: str, folder: Path, project: str = "modelport-test", models: Path | None = None, override: str = ""
    ) -> None:
        self.folder = folder
        self.project = project
        self.grpc_port, self.rest_port = free_port(), free_port()
        self.grpc, self.rest = f"127.0.0.1:{self.grpc_port}", f"http://127.0.0.1:{self.rest_port}"
        self.models = folder / "models"
        if models is not None:
            shutil.copytree(models, self.models)
        for path in (self.models, folder / "runs", folder / "docker/cli-plugins"):
            path.mkdir(parents=True, exist_ok=True)
        (folder / "docker/cli-plugins/docker-compose").symlink_to(COMPOSE)
        shutil.copytree(ROOT / "serving/config", folder / "config")
        self.config = self.models / "models.config"
        self.environment = {
            **{name: value for name, value in os.environ.items() if name in _KEPT},
            "DOCKER_CONFIG": str(folder / "docker"),
            "COMPOSE_PROJECT_NAME": project,
            "MODELPORT_MODELS": str(self.models),
            "MODELPORT_RUNS": str(folder / "runs"),
            "MODELPORT_CONFIG": str(folder / "config"),
            "SERVING_GRPC_PORT": str(self.grpc_port),
            "SERVING_REST_PORT": str(self.rest_port),
            "STANDIN_PACKAGES": str(next(Path(sys.prefix).glob("lib/python*/site-packages"))),
            "STANDIN_SOURCE": str(ROOT),
            **({"DOCKER_HOST": host} if host else {}),
        }
        self.on, files = self._images()
        self.environment["COMPOSE_FILE"] = ":".join(filter(None, [*files, override]))

    def _images(self) -> tuple[str, list[str]]:
        real = os.environ.get("SERVING_IMAGE") or SERVING
        if self._kind(real) == "real":
            self.environment["SERVING_IMAGE"] = real
            return f"the stack on {real}", ["docker-compose.yml"]
        if not self._kind(SERVING):  # a tag that somebody else made is left to him
            jobs = JOBS if self._kind(JOBS) != "real" else f"{JOBS}-standin"
            self.run(str(ROOT / "deploy/standin/build.sh"), SERVING, jobs, timeout=300)
        return STANDIN, ["docker-compose.yml", "deploy/standin/compose.standin.yml"]

    def _kind(self, image: str) -> str:
        """What the engine has of that name: "real", "stand-in", or nothing."""
        label = '{{index .Config.Labels "modelport.standin"}}'
        done = self.docker("image", "inspect", "--format", label, image, check=False)
        return "" if done.returncode else "stand-in" if done.stdout.strip() == "true" else "real"

    def remove_stand_ins(self) -> None:
        """On an engine that stays, its owner's next `docker compose up` is to get the real images."""
        for image in (SERVING, JOBS):
            if self._kind(image) == "stand-in":
                self.docker("rmi", image, check=False)

    @property
    def is_real(self) -> bool:
        return self.on != STANDIN

    def docker(self, *arguments: str, check: bool = True, timeout: float = 120) -> subprocess.CompletedProcess:
        return self.run("docker", *arguments, check=check, timeout=timeout)

    def compose(self, *arguments: str, check: bool = True, timeout: float = 300) -> subprocess.CompletedProcess:
        return self.run("docker", "compose", *arguments, check=check, timeout=timeout)

    def run(self, *command: str, check: bool = True, timeout: float = 300) -> subprocess.CompletedProcess:
        """Run a command in the checkout, as a user of the stack would."""
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=timeout, check=False, cwd=ROOT
        )
        assert not check or done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
        return done

    def containers(self, service: str = "serving") -> list[str]:
        return self.compose("ps", "--all", "--quiet", service).stdout.split()

    def inspect(self, container: str = "") -> dict:
        return json.loads(self.docker("inspect", container or self.containers()[0]).stdout)[0]

    def wait_for_health(self, wanted: str = "healthy", timeout: float = 120, container: str = "") -> dict:
        deadline = time.monotonic() + timeout
        while True:
            found = (containers := self.containers()) and self.inspect(container or containers[0])["State"]
            if found and found.get("Health", {}).get("Status") == wanted:  # none before it is started
                return found["Health"]
            assert time.monotonic() < deadline, f"not {wanted} within {timeout} s: {found}"
            time.sleep(0.5)

    def restart(self) -> None:
        self.compose("restart", "--timeout", "30", "serving")
        self.wait_for_health()

    def kill(self, container: str = "") -> None:
        """Kill the server under its engine, which starts it again. (`docker kill` would count as a wish to stop.)"""
        facts = self.inspect(container)
        for process in psutil.Process(facts["State"]["Pid"]).children(recursive=True):
            os.kill(process.pid, signal.SIGKILL)
        deadline = time.monotonic() + 60
        while self.inspect(facts["Id"])["RestartCount"] == facts["RestartCount"]:
            assert time.monotonic() < deadline, "the engine did not start it again"
            time.sleep(0.1)
        self.wait_for_health(container=facts["Id"])

    def down(self) -> None:
        """Take it down with its volumes, and see that nothing is left."""
        self.compose("down", "--volumes", "--timeout", "20")
        mine = f"label=com.docker.compose.project={self.project}"
        for kind, command in {
            "containers": ["ps", "--all"],
            "networks": ["network", "ls"],
            "volumes": ["volume", "ls"],
        }.items():
            left = self.docker(*command, "--quiet", "--filter", mine).stdout.split()
            assert not left, f"{kind} left behind: {left}"
