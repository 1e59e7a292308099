"""The models.config of a repository: whose base paths it has, which server it is for, and that a restart reads it."""

import numpy as np
import pytest

from modelport.errors import FailedPrecondition
from modelport.serverconfig import parse_models
from modelport_client import Client
from modelport_client.transports import grpc_protocol
from modelport_release import promote
from modelport_release.doctor.examining import examine
from modelport_serving import AUTO, Options, Server

X = {"x": np.zeros(1, np.float32)}


def answers(client, **which):
    return client.predict("m", X, **which).version


def test_a_restart_keeps_what_was_promoted(repository):
    promote("m", 1, repository=repository)
    promote("m", 2, label="canary", repository=repository)
    with (
        Server(Options(model_repository=str(repository), port=AUTO, rest_api_port=AUTO)) as server,
        Client(server.grpc_address) as client,
    ):
        client.wait_until_available("m", 2, timeout=30)
        client.wait_until_available("m", 1, timeout=30)
        assert answers(client, label="canary") == 2
        assert client.predict("other", X).version == 2


def test_a_file_that_is_not_that_servers_is_refused(repository, server, client, tmp_path):
    """The server was left with a base path that leads nowhere, and took up no version any more."""
    config = tmp_path / "other.config"
    config.write_text('model_config_list { config { name: "m" base_path: "/models/m" model_platform: "tensorflow" } }')
    before = config.read_text()
    with pytest.raises(FailedPrecondition, match=r"has 'm' in .*models/m'.*stands for '/models/m'.*--repository"):
        promote("m", 1, config=config, server=server.grpc_address, timeout=5)
    assert config.read_text() == before
    assert answers(client) == 2


def test_the_file_of_a_repository_is_the_containers(repository, server, client):
    """One file for `modelport serve DIR` and for the stack: the base paths of the container, and all models."""
    promote("m", 1, repository=repository, server=server.grpc_address, timeout=20)
    assert answers(client) == 1
    models = parse_models((repository / "models.config").read_text()).models
    assert {model.name: model.base_path for model in models} == {"m": "/models/m", "other": "/models/other"}
    assert client.base_path("other") == str(repository / "other"), "the server was told where it has it"
    found = [*examine(str(repository)), *examine(str(repository / "models.config"))]
    assert {one.level for one in found} == {"warning"}, "they have no warm-up; each path is found"


def test_base_paths_that_somebody_wrote_are_kept(repository, add_version):
    """A server outside of a container can be started with the repository's file, too."""
    add_version(repository / "third", 1, "affine-2")
    text = f'model_config_list {{ config {{ name: "m" base_path: "{repository}/m" model_platform: "tensorflow" }} }}'
    (repository / "models.config").write_text(text)
    promote("other", 1, repository=repository)
    models = parse_models((repository / "models.config").read_text()).models
    assert {model.base_path for model in models} == {str(repository / model.name) for model in models}
    assert len(models) == 3


def test_no_file_is_made_for_a_server_that_does_not_say_where_its_models_are(repository, server, monkeypatch):
    """tensorflow_model_server does not, nor does a server elsewhere: its own file would not have been that one."""
    monkeypatch.setattr(grpc_protocol, "_BASE_PATH", "not-sent")
    with pytest.raises(FailedPrecondition, match=r"models.config', which does not exist. Give its file with --config"):
        promote("m", 1, repository=repository, server=server.grpc_address, timeout=20)
    assert not (repository / "models.config").exists()
