"""A server that exports everything it can, and Prometheus' own programs."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from modelport.errors import InvalidArgument
from modelport_client import Client
from modelport_export import warmup
from modelport_export.signatures import Signature, Spec
from modelport_serving import AUTO, Options, Server
from tests.monitoring.files import CONFIG


def _program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not on the PATH: Debian and Ubuntu have it in the package 'prometheus'")
    return path


@pytest.fixture(scope="session")
def promtool() -> str:
    return _program("promtool")


@pytest.fixture(scope="session")
def prometheus() -> str:
    return _program("prometheus")


SIGNATURES = {"serving_default": Signature({"x": Spec("float32", (-1,))}, {})}


@pytest.fixture
def base(tmp_path, add_version) -> Path:
    """A model's base path with one version that is warmed up; `m` in `watched`."""
    folder = add_version(tmp_path / "m", "aside", "affine-2")
    warmup.write(folder, "m", {"serving_default": {"x": np.zeros(4, np.float32)}}, SIGNATURES)
    folder.rename(tmp_path / "m" / "1")
    return tmp_path / "m"


@pytest.fixture
def watched(base) -> Iterator[Server]:
    """A server with the monitoring and batching files of the stack."""
    options = Options(
        model_name="m",
        model_base_path=str(base),
        port=AUTO,
        rest_api_port=AUTO,
        max_num_load_retries=0,
        enable_batching=True,
        batching_parameters_file=str(CONFIG / "batching.config"),
        monitoring_config_file=str(CONFIG / "monitoring.config"),
    )
    with Server(options) as server:
        yield server


@pytest.fixture
def ask(watched) -> Iterator[Callable[[], None]]:
    """Send a few requests over both transports, good ones and bad."""
    with Client(watched.grpc_address) as grpc, Client(watched.rest_address) as rest:

        def ask() -> None:
            for client in (grpc, rest):
                client.predict("m", {"x": np.zeros(3, np.float32)})
                with pytest.raises(InvalidArgument):
                    client.predict("m", {"y": np.zeros(3, np.float32)})

        yield ask
