"""What a container is started with: `modelport serve`'s flags → the real server's flags and mounts."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelport.errors import InvalidArgument, NotFound
from modelport_serving.config.options import AUTO, Options
from modelport_serving.config.settings import configuration

_FIELDS = {field.name: field for field in dataclasses.fields(Options)}
_OURS_TOO = ("host", "grace_seconds")  # about the container, not the server in it
_REFUSED = {
    "grpc_socket_path": "a socket inside a container is of no use outside; give a --port",
    "ssl_config_file": "use docker-compose.yml with a configuration folder that has the file",
}
_FILES = (
    "model_config_file",
    "monitoring_config_file",
    "batching_parameters_file",
    "tensorflow_session_config_file",
)


@dataclass(frozen=True)
class ContainerCommand:
    """Image, flags, mounts (host path -> bind and mode) and published ports; a port of None is any free one."""

    image: str
    flags: list[str]
    volumes: dict[str, dict[str, str]]
    host: str
    grpc_port: int | None
    rest_port: int | None  # 0: none
    models: tuple[str, ...]


def container_command(
    options: Options, named: Collection[str], image: str, cores: int, volumes: Iterable[str] = ()
) -> ContainerCommand:
    """Translate the options.

    Args:
        options: as for the embedded server.
        named: the flags that were given, whatever their value; the others are the stack's to choose.
        image: whose `tensorflow_model_server` runs.
        cores: of the engine, for the numbers of threads.
        volumes: further read-only mounts, HOST:CONTAINER.

    Raises:
        InvalidArgument: a flag that a container cannot have.
        NotFound: a folder or file that is to be mounted is not there.
    """
    for name in sorted(named):
        if reason := _REFUSED.get(name):
            raise InvalidArgument(f"--{name} does not go with --container: {reason}.")
        if _FIELDS[name].metadata["ours"] and name not in _OURS_TOO:
            raise InvalidArgument(f"--{name} is the embedded server's; tensorflow/serving has no such flag.")
    if not options.port:
        raise InvalidArgument("Expected a gRPC --port, or 'auto' for any free one: the container is asked on it.")
    if not options.model_config_file and not options.model_base_path:
        raise InvalidArgument("Expected --model_name and --model_base_path, or --model_config_file.")
    options = _absolute(options)
    models = configuration(options).models or ()
    folders = {_own_folder(Path(path), name) for name in _FILES if (path := getattr(options, name))}
    for model in models:
        if "://" not in model.base_path:
            folders.add(_existing(model.base_path, f"the base path of model {model.name!r}"))
    binds = {str(folder): {"bind": str(folder), "mode": "ro"} for folder in sorted(folders)}
    for volume in volumes:
        outside, separator, inside = volume.partition(":")
        if not separator or not inside.startswith("/"):
            raise InvalidArgument(f"Expected --volume=HOST:/CONTAINER. Received: {volume!r}")
        binds[str(_existing(outside, "the folder of --volume"))] = {"bind": inside, "mode": "ro"}
    return ContainerCommand(
        image=image,
        flags=_flags(options, named, cores),
        volumes=binds,
        host=options.host,
        grpc_port=None if options.port == AUTO else options.port,
        rest_port=None if options.rest_api_port == AUTO else options.rest_api_port,
        models=tuple(model.name for model in models),
    )


def _flags(options: Options, named: Collection[str], cores: int) -> list[str]:
    """The given flags, and for those that are not the stack's choices (docker-compose.yml has the reasons)."""
    values: dict[str, object] = {
        "grpc_max_threads": max(64, 16 * cores),
        "num_load_threads": 1,
        "max_num_load_retries": 1,
        "load_retry_interval_micros": 1_000_000,
        "enable_profiler": False,
        "tensorflow_session_parallelism": cores,
    }
    if {"tensorflow_intra_op_parallelism", "tensorflow_inter_op_parallelism"} & set(named):
        del values["tensorflow_session_parallelism"]
    values |= {name: getattr(options, name) for name in sorted(named) if name not in _OURS_TOO}
    values |= {"port": 8500, "rest_api_port": 8501 if options.rest_api_port else 0}
    return [f"--{name}={str(value).lower() if isinstance(value, bool) else value}" for name, value in values.items()]


def _absolute(options: Options) -> Options:
    """The options with absolute paths, each of which is there."""
    changes: dict[str, Any] = {
        name: str(_existing(path, f"--{name}")) for name in _FILES if (path := getattr(options, name))
    }
    base = options.model_base_path
    if base and "://" not in base:
        changes["model_base_path"] = str(_existing(base, "--model_base_path"))
    return dataclasses.replace(options, **changes)


def _own_folder(file: Path, name: str) -> Path:
    """The folder of a file is mounted, so that a file put in its place is seen; it may not be everybody's."""
    shared = {Path(path) for path in ("/", "/etc", "/home", "/root", "/tmp", "/usr", "/var")} | {Path.home()}  # noqa: S108  # names only
    if file.parent in shared:
        raise InvalidArgument(
            f"Expected the file of --{name} in a folder of its own, because the container gets the whole folder. "
            f"Received: {str(file)!r}"
        )
    return file.parent


def _existing(path: str, what: str) -> Path:
    found = Path(path).absolute()
    if not found.exists():
        raise NotFound(
            f"Expected {what} to be there, because the container mounts it. Received: {path!r}. Paths inside the "
            "stack's containers, such as /models/digits, are for 'modelport up'."
        )
    return found
