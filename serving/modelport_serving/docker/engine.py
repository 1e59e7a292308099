"""The Docker engine: connected to within seconds, or one line that says why not and what to do instead."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import docker
import docker.errors
from docker.context import ContextAPI

from modelport.errors import Unavailable

OFFER = "Without Docker, 'modelport serve' runs the embedded server: the same API, flags and files."
_ANSWER_S = 10


def connect() -> docker.DockerClient:
    """A client of the engine at DOCKER_HOST, or else of the current context of the `docker` command.

    Raises:
        Unavailable: there is none, it does not answer within 10 s, or it is not ours to use.
    """
    host = address()
    try:
        engine = docker.from_env(timeout=_ANSWER_S, environment={**os.environ, "DOCKER_HOST": host})
        engine.ping()
    except (docker.errors.DockerException, OSError) as error:  # requests' own errors are OSErrors
        raise Unavailable(f"{_reason(host, str(error))} {OFFER}") from error
    engine.api.timeout = 60  # it answers; from here on only work takes time
    return engine


@contextmanager
def answering() -> Iterator[None]:
    """What goes wrong between us and the engine in this block becomes Unavailable, with the engine's own reason."""
    try:
        yield
    except docker.errors.APIError as error:
        raise Unavailable(f"The Docker engine refuses: {error.explanation or error}") from error
    except (docker.errors.DockerException, OSError) as error:  # requests' own errors are OSErrors
        raise Unavailable(f"The Docker engine at {address()} stopped answering: {error}") from error


def address() -> str:
    """Where the engine is looked for."""
    if host := os.environ.get("DOCKER_HOST"):
        return host
    context = ContextAPI.get_context(os.environ.get("DOCKER_CONTEXT") or None)
    return str(context.Host) if context is not None and context.Host else "unix:///var/run/docker.sock"


def is_arm(engine: docker.DockerClient) -> bool:
    """Whether the engine runs arm64 images."""
    return str(engine.info().get("Architecture")) in ("aarch64", "arm64")


def cores(engine: docker.DockerClient) -> int:
    """How many cores its containers have; not ours when the engine is another machine's."""
    found: Any = engine.info().get("NCPU")
    return int(found or 1)


def _reason(host: str, text: str) -> str:
    if "FileNotFoundError" in text:
        return f"No Docker engine at {host}: there is no such socket. Install or start Docker, or set DOCKER_HOST."
    if "refused" in text:
        return f"No Docker engine at {host}: nothing listens there. Start Docker, or set DOCKER_HOST."
    if "PermissionError" in text or "Permission denied" in text:
        return f"The Docker engine at {host} is not yours to use: join the group 'docker', or use sudo."
    if "timed out" in text:
        return f"The Docker engine at {host} does not answer within {_ANSWER_S} s: restart it."
    return f"The Docker engine at {host} cannot be used: {text}."
