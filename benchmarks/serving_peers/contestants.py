"""The servers that are compared: what each is made of, how it starts, and which protocols it speaks."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from serving_peers import environments
from serving_peers.checkouts import HERE
from serving_peers.exchanges import GRPC, GRPC_V2, REST, REST_PREDICT, REST_V2, Exchange
from serving_peers.generator import BadRun
from serving_peers.model import NAME, VERSION

OURS = "modelport"
BEFORE = "before"
_SERVICES = Path(__file__).parent / "services"
_TENSORFLOW = "tensorflow-cpu"
_OFFICIAL_THREADS = 128  # with its default it refuses calls of 64 callers


@dataclass(frozen=True)
class Ports:
    """Where a server listens on 127.0.0.1."""

    rest: int
    grpc: int

    def of(self, exchange: Exchange) -> int:
        """The port of a protocol."""
        return self.grpc if exchange.grpc else self.rest


@dataclass(frozen=True)
class Contestant:
    """One server.

    Args:
        name: as the tables print it.
        exchanges: the protocols to measure, of each kind at most one.
        command: cache folder for environments, model's base path, ports -> what to start.
            Raises BadRun where the server cannot be had here.
        checkout: whose packages it runs, for a server of ours.
    """

    name: str
    exchanges: tuple[Exchange, ...]
    command: Callable[[Path, Path, Ports], list[str]]
    checkout: Path | None = None


def _ours(cache: Path, base: Path, ports: Ports) -> list[str]:
    return [sys.executable, "-m", "modelport", "serve", *_flags(base, ports)]


def _official(cache: Path, base: Path, ports: Ports) -> list[str]:
    found = shutil.which("tensorflow_model_server")
    if found is None:
        raise BadRun("not measured: no tensorflow_model_server on the PATH")
    return [found, *_flags(base, ports), f"--grpc_max_threads={_OFFICIAL_THREADS}"]


def _flags(base: Path, ports: Ports) -> list[str]:
    return [
        f"--model_name={NAME}",
        f"--model_base_path={base}",
        f"--port={ports.grpc}",
        f"--rest_api_port={ports.rest}",
    ]


def _service(name: str, *packages: str) -> Callable[[Path, Path, Ports], list[str]]:
    """A peer of Python: `services/<name>_service.py <version folder> <REST port> <gRPC port>` in its environment."""

    def command(cache: Path, base: Path, ports: Ports) -> list[str]:
        folder = environments.ensure(cache, name, [*packages, _TENSORFLOW])
        script = _SERVICES / f"{name}_service.py"
        return [str(folder / "python"), str(script), str(base / str(VERSION)), str(ports.rest), str(ports.grpc)]

    return command


CONTESTANTS: dict[str, Contestant] = {
    contestant.name: contestant
    for contestant in (
        Contestant(OURS, (GRPC, REST), _ours, HERE),
        Contestant("tensorflow_model_server", (GRPC, REST), _official),
        Contestant("fastapi", (REST_PREDICT,), _service("fastapi", "fastapi", "uvicorn[standard]", "orjson")),
        Contestant("litserve", (REST_PREDICT,), _service("litserve", "litserve")),
        Contestant("bentoml", (REST_PREDICT,), _service("bentoml", "bentoml")),
        Contestant("kserve", (GRPC_V2, REST), _service("kserve", "kserve")),
        Contestant("mlserver", (GRPC_V2, REST_V2), _service("mlserver", "mlserver")),
    )
}


def set_up(names: Sequence[str], cache: Path) -> list[str]:
    """Make the environments of these; returns a line for each that cannot be had."""
    lines = []
    for name in names:
        try:
            CONTESTANTS[name].command(cache, Path(), Ports(0, 0))
        except BadRun as error:
            lines.append(f"{name}: {error}")
    return lines


def before(checkout: Path) -> Contestant:
    """Our server as it stands in another checkout, run by the same interpreter."""
    return Contestant(BEFORE, (GRPC, REST), _ours, checkout)
