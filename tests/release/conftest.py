"""A repository of two models with two versions each, the embedded server on it, and a client of that."""

import pytest

from modelport import history
from modelport.history import Entry
from modelport_client import Client
from modelport_serving import AUTO, Options, Server


@pytest.fixture
def repository(tmp_path, add_version):
    root = tmp_path / "models"
    for name in ("m", "other"):
        for number in (1, 2):
            add_version(root / name, number, "affine-2")
            history.append(root / name, Entry("publish", number, number))
    return root


@pytest.fixture
def server(repository):
    options = Options(model_repository=str(repository), port=AUTO, rest_api_port=AUTO, max_num_load_retries=0)
    with Server(options) as running:
        yield running


@pytest.fixture
def client(server):
    with Client(server.grpc_address, retry=False) as connected:
        for model in ("m", "other"):
            connected.wait_until_available(model, 2, timeout=30)
        yield connected
