"""Promotion and roll back on a running server, by its configuration file and by its reload call."""

import shutil

import numpy as np
import pytest

from modelport.__main__ import main
from modelport.errors import InvalidArgument, ModelportError, NotFound, Unimplemented
from modelport.serverconfig import ServerConfig, Specific, parse_models
from modelport_client import Client
from modelport_release.promotion.promoting import promote
from modelport_serving import AUTO, Options, Server

X = {"x": np.zeros(1, np.float32)}


@pytest.fixture
def config(tmp_path, add_version):
    """The configuration of a repository with two versions of `m`."""
    for number in (1, 2):
        add_version(tmp_path / "models/m", number, "affine-2")
    path = tmp_path / "models.config"
    path.write_text(
        "# ours\nmodel_config_list {\n  config {\n    name: 'm'\n"
        f"    base_path: '{tmp_path}/models/m'\n    model_platform: 'tensorflow'\n  }}\n}}\n"
    )
    return path


@pytest.fixture
def server(config):
    options = Options(
        model_config_file=str(config), model_config_file_poll_wait_seconds=1, port=AUTO, rest_api_port=AUTO,
        max_num_load_retries=0, allow_version_labels_for_unavailable_models=True,
    )  # fmt: skip
    with Server(options) as running:
        yield running


def answers(client, **which):
    return client.predict("m", X, **which).version


def test_back_to_an_older_version_and_forward_again(config, server, capsys):
    command = ["promote", "m", "--config", str(config), "--server", server.grpc_address]
    repository = ["--repository", str(config.parent / "models")]
    with Client(server.grpc_address, retry=False) as client:
        assert answers(client) == 2
        assert main([*command, "1", *repository]) == 0
        assert "m: specific { versions: 1 }" in capsys.readouterr().out
        client.wait_until_available("m", 1)
        assert answers(client) == 1
        assert main([*command, "latest", *repository]) == 0
        assert answers(client) == 2
        assert config.read_text().startswith("# ours\n")
        assert main([*command, "7", *repository]) == 1
        assert "(1, 2). Received: 7" in capsys.readouterr().err
        assert main([*command, "newest"]) == 1
        assert "or 'latest'" in capsys.readouterr().err


def test_a_label_moves_to_a_version_that_was_not_loaded(config, server):
    with Client(server.grpc_address, retry=False) as client:
        promote("m", 2, label="stable", config=config, server=server.grpc_address)
        assert answers(client, label="stable") == 2
        promote("m", 1, label="stable", config=config, server=server.grpc_address)
        assert answers(client, label="stable") == 1
        promote("m", 2, label="canary", config=config, server=server.grpc_address)
        assert (answers(client, label="stable"), answers(client, label="canary"), answers(client)) == (1, 2, 2)
        assert parse_models(config.read_text()).models[0].policy == Specific((1, 2))
        with pytest.raises(InvalidArgument, match=r"canary on 2\. Move them with --label"):
            promote("m", 1, config=config, server=server.grpc_address)


def test_a_version_that_does_not_load_changes_nothing(config, server, tmp_path):
    broken = tmp_path / "models/m/3"
    broken.mkdir()
    (broken / "saved_model.pb").write_bytes(b"\x08\x01\x12\xff")
    promote("m", 2, label="stable", config=config, server=server.grpc_address)
    before = config.read_text()
    for label in (None, "canary"):
        with pytest.raises(ModelportError):
            promote("m", 3, label=label, config=config, server=server.grpc_address, timeout=5)
        assert config.read_text() == before
    with Client(server.grpc_address, retry=False) as client:
        assert answers(client) == answers(client, label="stable") == 2


@pytest.mark.parametrize(("pinned", "label_on", "served"), [(1, 2, (1, 2)), (None, 1, (1, 2)), (2, 2, (2,))])
def test_a_label_takes_nothing_away(config, server, pinned, label_on, served):
    promote("m", pinned, config=config, server=server.grpc_address)
    now = promote("m", label_on, label="new", config=config, server=server.grpc_address)
    assert now.policy == Specific(served)
    with Client(server.grpc_address, retry=False) as client:
        assert answers(client, version=served[0]) == served[0]
        assert answers(client, label="new") == label_on


def test_a_version_that_failed_once_comes_when_it_is_mended(config, server, tmp_path, add_version):
    broken = tmp_path / "models/m/3"
    broken.mkdir()
    (broken / "saved_model.pb").write_bytes(b"\x08\x01\x12\xff")
    with pytest.raises(ModelportError) as first:
        promote("m", 3, config=config, server=server.grpc_address)
    assert "a number twice" not in first.value.message
    promote("m", 2, config=config, server=server.grpc_address)
    shutil.rmtree(broken)
    add_version(tmp_path / "models/m", 3, "affine-2")
    promote("m", 3, config=config, server=server.grpc_address)
    with Client(server.grpc_address, retry=False) as client:
        assert answers(client) == 3


def test_after_a_broken_version_the_one_that_answers_can_be_asked_for(config, server, tmp_path):
    """Every promotion that named it waited its whole two minutes: it was no longer aspired, and never unloaded."""
    broken = tmp_path / "models/m/10"
    broken.mkdir()
    (broken / "saved_model.pb").write_bytes(b"\x08\x01\x12\xff")
    promote("m", 1, config=config, server=server.grpc_address)
    with pytest.raises(ModelportError):
        promote("m", 10, config=config, server=server.grpc_address)
    promote("m", 2, label="stable", config=config, server=server.grpc_address, timeout=20)
    with Client(server.grpc_address, retry=False) as client:
        assert client.predict("m", X, label="stable").version == 2
        assert client.predict("m", X, version=1).version == 1


def test_without_the_server_nothing_is_changed(config, capsys):
    before = config.read_text()
    assert main(["promote", "m", "1", "--config", str(config), "--server", "127.0.0.1:1"]) == 1
    assert "--file-only" in capsys.readouterr().err
    assert config.read_text() == before


def test_a_polling_server_needs_no_call(config, server):
    promote("m", 1, config=config)
    with Client(server.grpc_address, retry=False) as client:
        client.wait_until_available("m", 1, timeout=30)


def test_a_label_is_not_moved_blindly(config):
    assert promote("m", 2, label="stable", config=config).labels == {"stable": 2}
    with pytest.raises(InvalidArgument, match="Do not give --file-only"):
        promote("m", 1, label="stable", config=config)


def test_what_cannot_be_reloaded(server, config):
    with pytest.raises(NotFound, match=r"\(m\). Received: 'n'"):
        promote("n", 1, config=config)
    with Client(server.rest_address) as client, pytest.raises(Unimplemented, match="gRPC target"):
        client.reload(ServerConfig(()))
    with Client(server.grpc_address) as client, pytest.raises(ModelportError):
        client.reload(parse_models('model_config_list { config { name: "m" } }'))
