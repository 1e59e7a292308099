"""Several servers of one repository: all change, or none; and the samples that a version is asked with first."""

import json

import numpy as np
import pytest

from modelport import layout
from modelport.__main__ import main
from modelport.errors import FailedPrecondition, ModelportError, Unavailable
from modelport_client import Client
from modelport_release import promote
from modelport_release.promotion.servers import addresses
from modelport_serving import AUTO, Options, Server
from tests.support.waiting import eventually

X = {"x": np.zeros(1, np.float32)}


@pytest.fixture
def repository(tmp_path, add_version):
    for number in (1, 2):
        add_version(tmp_path / "models" / "m", number, "affine-2")
    promote("m", 1, repository=tmp_path / "models")
    return tmp_path / "models"


@pytest.fixture
def servers(repository):
    options = Options(model_repository=str(repository), port=AUTO, max_num_load_retries=0)
    with Server(options) as one, Server(options) as two:
        yield one, two


def answers(server):
    with Client(server.grpc_address) as client:
        return client.predict("m", X).version


def test_all_of_them(repository, servers, capsys):
    targets = ",".join(server.grpc_address for server in servers)
    assert main(["promote", "m@2", "--servers", targets, "--repository", str(repository)]) == 0
    assert [answers(server) for server in servers] == [2, 2]
    assert main(["rollback", "m", "--servers", targets, "--repository", str(repository)]) == 0
    assert [answers(server) for server in servers] == [1, 1]


def test_or_none(repository, servers, tmp_path):
    """The second server cannot load version 2: the first goes back, too."""
    before = (repository / "models.config").read_text()
    other = Options(model_repository=str(repository), port=AUTO, max_num_load_retries=0)
    with Server(other) as third:
        pass
    with pytest.raises(Unavailable, match=r"Give another|Connection|refuse|Unavailable|nobody|answer"):
        promote("m", 2, repository=repository, server=f"{servers[0].grpc_address},{third.grpc_address}", timeout=2)
    assert (repository / "models.config").read_text() == before
    assert answers(servers[0]) == 1


def test_a_version_that_does_not_answer_its_own_samples_gets_no_label(repository, servers):
    request = repository / "m" / "2" / layout.REQUEST
    request.parent.mkdir(exist_ok=True)
    request.write_text(json.dumps({"inputs": {"x": [[["no", "numbers"]]]}}))
    with pytest.raises(FailedPrecondition, match=r"version 2 of 'm' at .* to answer its own samples"):
        promote("m", 2, label="canary", repository=repository, server=servers[0].grpc_address, timeout=20)
    with Client(servers[0].grpc_address) as client:
        with pytest.raises(ModelportError):
            client.predict("m", X, label="canary")
        eventually(lambda: {s.version for s in client.status("m") if s.state == "AVAILABLE"} == {1})
    request.write_text(json.dumps({"inputs": {"x": [1.5]}}))
    promote("m", 2, label="canary", repository=repository, server=servers[0].grpc_address, timeout=20)


def test_addresses():
    assert addresses("a:1, b:2,a:1") == ["a:1", "b:2"]
    assert set(addresses("dns:///localhost:8500")) <= {"127.0.0.1:8500", "[::1]:8500"}
    with pytest.raises(Unavailable, match="no-such-host"):
        addresses("dns:///no-such-host.invalid:1")


def test_the_request_of_a_version_names_its_signature(repository, servers):
    """A SavedModel without `serving_default` could be published, and never promoted."""
    request = repository / "m" / "2" / layout.REQUEST
    request.parent.mkdir(exist_ok=True)
    request.write_text(json.dumps({"signature_name": "nothing", "inputs": {"x": [1.5]}}))
    with pytest.raises(FailedPrecondition, match="nothing"):
        promote("m", 2, repository=repository, server=servers[0].grpc_address, timeout=20)
    request.write_text(json.dumps({"signature_name": "serving_default", "inputs": {"x": [1.5]}}))
    promote("m", 2, repository=repository, server=servers[0].grpc_address, timeout=20)
