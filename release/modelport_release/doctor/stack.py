"""A compose file: the server that it starts, with what it mounts, as Compose itself understands it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from modelport.errors import InvalidArgument, Unavailable
from modelport.readable import closed_to_others
from modelport_release.doctor import configurations, repositories
from modelport_release.doctor.finding import Finding

_ANSWER_S = 60.0  # that Compose may take to read a file
_THREADS_A_CORE = 4  # gRPC threads of tensorflow_model_server where nothing is said


def check(file: Path, callers: int | None = None) -> Iterator[Finding]:
    """Every service of the file that is a TensorFlow Serving.

    Args:
        file: the compose file.
        callers: requests at a time that have to be answered; None where that is not asked.

    Raises:
        Unavailable: there is no Compose here.
        InvalidArgument: Compose does not accept the file, or no service in it serves models.
    """
    services = _configuration(file)["services"]
    found = False
    for name, service in services.items():
        flags = _flags(service)
        config = flags.get("model_config_file")
        if config is None and "model_base_path" not in flags:
            continue
        found = True
        yield from _service(f"{file}, {name}", service, flags, callers)
    if not found:
        raise InvalidArgument(
            f"Expected a service of {str(file)!r} with --model_config_file or --model_base_path. Received: "
            f"{', '.join(services)}, which have neither."
        )


def _service(
    where: str, service: Mapping[str, Any], flags: Mapping[str, str], callers: int | None
) -> Iterator[Finding]:
    volumes = [volume for volume in service.get("volumes", ()) if volume.get("type") == "bind"]
    mounts = {volume["target"]: Path(volume["source"]) for volume in volumes}
    named = [volume["target"] for volume in service.get("volumes", ()) if volume.get("type") == "volume"]

    def place(path: str) -> Path | None:
        for target, source in sorted(mounts.items(), key=lambda one: -len(one[0])):
            if PurePosixPath(path).is_relative_to(target):
                return source / PurePosixPath(path).relative_to(target)
        return None

    if callers is not None:
        threads = int(flags.get("grpc_max_threads", _THREADS_A_CORE * (os.cpu_count() or 1)))
        if threads < callers:
            yield Finding(
                "error",
                where,
                f"It answers {threads} gRPC calls at a time and refuses others; {callers} come.",
                f"--grpc_max_threads={callers} in its command (SERVING_GRPC_THREADS={callers} in ours).",
            )
    target = _tensorflow(str(service.get("image", "")))
    for path in mounts.values():
        if path.is_dir() and closed_to_others(path) is not None:
            yield Finding("error", str(path), "The user of the container cannot list it.", f"chmod -R o+rX {path}")
    config = flags.get("model_config_file")
    if config is not None:
        file = place(config)
        if file is None or not file.is_file():
            where_to = "is not mounted" if file is None else f"is not there: {str(file)!r}"
            yield Finding("error", where, f"Its configuration {config!r} {where_to}.", "Add it to the volumes.")
            return
        yield from configurations.check(file, place, target)
    base = flags.get("model_base_path")
    if base is None or any(PurePosixPath(base).is_relative_to(one) for one in named):
        return  # a volume of the engine's: nobody but it can look inside
    folder = place(base)
    if folder is None:
        yield Finding("error", where, f"Its base path {base!r} is not mounted.", "Add the folder to the volumes.")
    elif not folder.is_dir():
        yield Finding("error", where, f"Its base path is missing: there is no folder {str(folder)!r}.", "Put it right.")
    else:
        yield from repositories.check_base_path(folder, target)


def _flags(service: Mapping[str, Any]) -> dict[str, str]:
    words: Sequence[str] = [*(service.get("entrypoint") or ()), *(service.get("command") or ())]
    pairs = [word.removeprefix("--").partition("=") for word in words if word.startswith("--")]
    return {name: value for name, _, value in pairs}


def _tensorflow(image: str) -> str | None:
    """The TensorFlow of an image of tensorflow/serving, by its tag."""
    found = re.fullmatch(r"(?:.*/)?tensorflow/serving:(\d+\.\d+(?:\.\d+)?)(?:-.*)?", image)
    return found[1] if found else None


def _configuration(file: Path) -> dict[str, Any]:
    beside = Path(sys.executable).with_name("docker-compose")
    command = [str(beside)] if beside.exists() else ["docker-compose"] if shutil.which("docker-compose") else None
    if command is None and shutil.which("docker"):
        command = ["docker", "compose"]
    if command is None:
        raise Unavailable(f"Expected Docker Compose, which reads {str(file)!r}. It is not installed here.")
    arguments = ["--file", str(file), "--profile", "*", "config", "--format", "json"]
    try:
        done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=_ANSWER_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"Expected Docker Compose to read {str(file)!r}. Received: {error}") from error
    if done.returncode != 0:
        raise InvalidArgument(f"Expected a compose file in {str(file)!r}. Compose says: {done.stderr.strip()}")
    return dict(json.loads(done.stdout))
