"""Servers on both implementations of the gRPC port."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest

from modelport_serving import AUTO, Options, Server

IMPLEMENTATIONS = ["completion_queue", "aio"]


@pytest.fixture(scope="module", params=IMPLEMENTATIONS)
def implementation(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def start(model_files, tmp_path_factory, implementation) -> Iterator[Callable[..., Server]]:
    """Start servers of models, by the names of their files; stopped at the end of the module."""
    started: list[Server] = []

    def start(*models: str, **options) -> Server:
        folder: Path = tmp_path_factory.mktemp("served")
        lines = []
        for model in models:
            shutil.copytree(model_files / model, folder / model / "1")
            entry = f"name: {json.dumps(model)} base_path: {json.dumps(str(folder / model))}"
            lines.append(f'config {{ {entry} model_platform: "tensorflow" }}')
        (folder / "models.config").write_text("model_config_list {\n" + "\n".join(lines) + "\n}\n")
        chosen = {
            "port": AUTO,
            "model_config_file": str(folder / "models.config"),
            "max_num_load_retries": 0,
            **options,
        }
        server = Server(Options(grpc_implementation=implementation, **chosen))
        server.start()
        started.append(server)
        return server

    yield start
    for server in started:
        server.stop()


@pytest.fixture(scope="module")
def served(start, tmp_path_factory) -> Server:
    """One server with everything that the gRPC port has."""
    folder = tmp_path_factory.mktemp("log")
    return start(
        "affine-2",
        "slow",
        enable_grpc_healthcheck_service=True,
        access_log=str(folder / "access.log"),
        grpc_socket_path=str(tmp_path_factory.mktemp("s") / "grpc"),
    )


@pytest.fixture
def channel(served) -> Iterator[grpc.Channel]:
    whole = [("grpc.max_receive_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel(served.grpc_address, options=whole) as opened:
        yield opened
