"""Life in the repository: pins, collections, quarantine; a version in a page, and two beside each other."""

import json
import re

import pytest

from modelport import history, marks
from modelport.__main__ import main
from modelport.errors import FailedPrecondition, InvalidArgument, NotFound
from modelport.manifest import Manifest
from modelport.repository import Repository
from modelport_client import Client
from modelport_release import collecting, comparing, listing, promote, rollback
from modelport_serving import AUTO, Options, Server


@pytest.fixture
def repository(tmp_path, add_version):
    root = tmp_path / "models"
    for number in range(1, 8):
        add_version(root / "m", number, "affine-2")
    return Repository(root)


def served(repository, name, version):
    """A configuration of somebody else's server on the versions of `m`."""
    return (
        f'model_config_list {{ config {{ name: "{name}" base_path: "{repository.base_path("m")}" '
        f'model_platform: "tensorflow" model_version_policy {{ specific {{ versions: {version} }} }} }} }}'
    )


def test_what_is_in_use_or_pinned_is_never_collected(repository):
    promote("m", 2, repository=repository.root)
    promote("m", 3, label="canary", repository=repository.root)
    collecting.pin(repository, "m", 1, "the paper used it")
    before = sorted(repository.versions("m"))
    tried = collecting.collect(repository, "m", 1, dry_run=True)
    assert repository.versions("m") == before
    assert tried.versions == [4, 5, 6]
    assert tried.bytes == sum(listing.size_of(repository.version_path("m", number)) for number in (4, 5, 6))
    done = collecting.collect(repository, "m", 1, why="room")
    assert (done.versions, done.bytes) == (tried.versions, tried.bytes)
    assert repository.versions("m") == [1, 2, 3, 7]
    assert done.kept[1] == "pinned: the paper used it"
    assert (done.kept[2], done.kept[3], done.kept[7]) == ("live", "label canary", "one of the newest 1")
    assert [(e.action, e.version, e.why) for e in history.read(repository.base_path("m"))[-3:]] == [
        ("gc", number, "room") for number in (4, 5, 6)
    ]
    collecting.unpin(repository, "m", 1, "")
    assert collecting.collect(repository, "m", 1).versions == [1]


def test_the_newest_that_a_policy_serves_stay(repository):
    (repository.root / "models.config").write_text(
        f'model_config_list {{ config {{ name: "m" base_path: "{repository.base_path("m")}" '
        'model_platform: "tensorflow" model_version_policy { latest { num_versions: 3 } } } }'
    )
    assert collecting.collect(repository, "m", 1).versions == [1, 2, 3, 4]
    (repository.root / "models.config").write_text(
        f'model_config_list {{ config {{ name: "m" base_path: "{repository.base_path("m")}" '
        'model_platform: "tensorflow" model_version_policy { all {} } } }'
    )
    with pytest.raises(FailedPrecondition, match="serves all of them"):
        collecting.collect(repository, "m", 1)


def test_another_servers_file_and_a_server_are_asked(repository, tmp_path):
    config = tmp_path / "stack.config"
    config.write_text(served(repository, "m", 2))
    assert 2 not in collecting.collect(repository, "m", 1, configs=[config], dry_run=True).versions
    options = Options(model_config_file=str(config), port=AUTO)
    with Server(options) as server, Client(server.grpc_address) as client:
        client.wait_until_available("m", 2, 30)
        kept = collecting.collect(repository, "m", 1, server=server.grpc_address).kept
    assert kept[2] == f"loaded at {server.grpc_address}"
    assert repository.versions("m") == [2, 7]


def test_a_collection_that_was_killed_is_finished_by_the_next(repository):
    base = repository.base_path("m")
    (base / "1").rename(base / ".collected-1")
    assert repository.versions("m")[0] == 2
    collecting.collect(repository, "m", 5)
    assert not list(base.glob(".collected-*"))


def test_no_server_sees_what_is_in_quarantine(repository):
    options = Options(model_repository=str(repository.root), port=AUTO, file_system_poll_wait_seconds=1)
    with Server(options) as server, Client(server.grpc_address) as client:
        client.wait_until_available("m", 7, 30)
        assert collecting.quarantine(repository, "m", 7, "answers nonsense") == 6
        client.wait_until_available("m", 6, 30)
        assert client.predict("m", {"x": [1.0]}).version == 6
    assert marks.quarantined(repository.base_path("m")) == [7]
    with pytest.raises(NotFound):
        promote("m", 7, repository=repository.root)
    collecting.release(repository, "m", 7, "it was the client")
    assert repository.versions("m")[-1] == 7
    with pytest.raises(NotFound, match="quarantined version of 'm' \\(none\\)"):
        collecting.release(repository, "m", 7, "")


def test_what_is_in_use_is_not_quarantined(repository):
    promote("m", 2, repository=repository.root)
    promote("m", 3, label="canary", repository=repository.root)
    with pytest.raises(FailedPrecondition, match=r"named by the configuration.*modelport rollback m"):
        collecting.quarantine(repository, "m", 2, "why")
    with pytest.raises(FailedPrecondition, match=r"bears the label 'canary'.*--label canary"):
        collecting.quarantine(repository, "m", 3, "why")
    for number in (4, 5, 6, 7):
        collecting.quarantine(repository, "m", number, "why")
    assert repository.versions("m") == [1, 2, 3]


def test_the_only_version_stays(tmp_path, add_version):
    add_version(tmp_path / "models" / "m", 1, "affine-2")
    with pytest.raises(FailedPrecondition, match="the only one"):
        collecting.quarantine(Repository(tmp_path / "models"), "m", 1, "why")


def test_wrong_words(repository, monkeypatch, capsys):
    monkeypatch.chdir(repository.root.parent)
    with pytest.raises(InvalidArgument, match="1 version or more"):
        collecting.collect(repository, "m", 0)
    for command, told in (
        (["pin", "n@1"], "Expected a model of .*models' \\(m\\)"),
        (["pin", "m"], "NAME@VERSION"),
        (["pin", "m@9"], "Received: 9"),
        (["unpin", "m@1"], "Expected a pinned version of 'm' \\(none\\)"),
        (["gc", "m@1", "--keep", "1"], "name of a model alone"),
        (["show", "m@stabel"], "a label of 'm' \\(none\\)"),
        (["diff", "m@1", "m@2"], "m@1 has none, so it cannot be compared"),
        (["quarantine", "m", "why"], "NAME@VERSION"),
    ):
        assert main(command) == 1
        assert re.search(told, capsys.readouterr().err), command


def test_the_commands(repository, monkeypatch, capsys):
    monkeypatch.chdir(repository.root.parent)
    promote("m", 2, repository=repository.root)
    promote("m", 3, label="canary", repository=repository.root)
    assert main(["pin", "m@canary", "the best so far"]) == 0
    assert main(["gc", "m", "--keep", "2", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "would be removed: 1, 4, 5" in out
    assert main(["gc", "--keep", "2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["m"]["versions"] == [1, 4, 5]
    assert main(["quarantine", "m@7", "bad"]) == 0
    assert main(["ls", "m"]) == 0
    out = capsys.readouterr().out
    assert "the best so far" in out
    assert "in quarantine, seen by no server: 7" in out
    assert main(["show", "m@canary"]) == 0
    out = capsys.readouterr().out
    assert "m@3 (canary, pinned)" in out or "m@3 (live, canary, pinned)" in out
    assert main(["history", "m@7", "--json"]) == 0
    assert [json.loads(line)["action"] for line in capsys.readouterr().out.splitlines()] == ["quarantine"]


def test_a_version_by_name_for_the_client(repository, capsys):
    promote("m", 2, repository=repository.root)
    promote("m", 3, label="canary", repository=repository.root)
    options = Options(model_repository=str(repository.root), port=AUTO)
    with Server(options) as server:
        at = ["--server", server.grpc_address, "--json"]
        for which, version in (("m@canary", 3), ("m@2", 2), ("m", 3)):
            assert main(["predict", which, "--input", "[1]", *at]) == 0
            assert json.loads(capsys.readouterr().out)["version"] == version
            assert main(["metadata", which, *at]) == 0
            assert json.loads(capsys.readouterr().out)["version"] == version
        assert main(["status", "m@canary", *at]) == 0
        assert [one["version"] for one in json.loads(capsys.readouterr().out)] == [3]
        assert main(["ls", "m", "--repository", str(repository.root), "--server", server.grpc_address]) == 0
        assert "AVAILABLE" in capsys.readouterr().out
        with pytest.raises(SystemExit):
            main(["predict", "m@2", "--version", "3", "--input", "[1]", *at])
        assert "named twice" in capsys.readouterr().err


def test_back_to_a_version_by_name(repository):
    for number in (1, 2, 3):
        promote("m", number, repository=repository.root)
    assert rollback("m", repository=repository.root, to=1)[0] == 1
    with pytest.raises(FailedPrecondition, match="version 5 of 'm' to be one that was live"):
        rollback("m", repository=repository.root, to=5)


def manifest(version, **given):
    return Manifest(model="m", version=version, content_digest=str(version), **given)


def test_two_versions_beside_each_other():
    check = {"name": "quality", "figures": {"metric": "accuracy", "worse_by": 0.1, "low": 0.05, "high": 0.15}}
    first = manifest(1, metrics={"accuracy": 0.9}, training={"epochs": 3, "seed": 1}, environment={"keras": "3.1"})
    second = manifest(
        2,
        metrics={"accuracy": 0.8},
        training={"epochs": 4, "seed": 1},
        environment={"keras": "3.1"},
        proof={"live": 1, "checks": [check], "costs": {"this": {"p50_ms": 2.0}}},
    )
    found = comparing.compare(first, second)
    assert found.metrics == {"accuracy": (0.9, 0.8)}
    assert found.intervals == {"accuracy": (0.1, 0.05, 0.15)}
    assert found.training == {"epochs": (3, 4)}
    assert found.costs == {"p50_ms": (None, 2.0)}
    assert found.environment == {}
    third = manifest(3, proof={"live": 2, "checks": [check]})
    assert comparing.compare(first, third).intervals == {}, "it was held against another one"


def test_a_base_path_under_another_name_counts(repository, tmp_path):
    config = tmp_path / "stable.config"
    config.write_text(served(repository, "stable", 1))
    assert 1 not in collecting.collect(repository, "m", 1, configs=[config], dry_run=True).versions
    with pytest.raises(FailedPrecondition, match="named by the configuration"):
        collecting.quarantine(repository, "m", 1, "why", configs=[config])


def test_a_version_that_is_a_link_goes_without_what_it_points_at(repository, tmp_path):
    base = repository.base_path("m")
    (base / "1").rename(tmp_path / "elsewhere")
    (base / "1").symlink_to(tmp_path / "elsewhere")
    assert 1 in collecting.collect(repository, "m", 1).versions
    assert (tmp_path / "elsewhere" / "saved_model.pb").exists()
    assert not list(base.glob(".collected*"))


def test_words_in_brackets_are_words(repository, monkeypatch, capsys):
    monkeypatch.chdir(repository.root.parent)
    assert main(["pin", "m@1", "[/tmp/run3] weights"]) == 0
    for command in (["ls", "m"], ["history", "m"], ["show", "m@1"]):
        assert main(command) == 0
        assert "[/tmp/run3]" in capsys.readouterr().out


def test_a_pin_without_words_keeps_those_that_were_there(repository):
    collecting.pin(repository, "m", 1, "the paper used it")
    collecting.pin(repository, "m", 1, "")
    assert marks.pins(repository.base_path("m"))[1] == "the paper used it"


def test_a_version_in_quarantine_is_told_to_be_there(repository):
    collecting.quarantine(repository, "m", 2, "why")
    with pytest.raises(NotFound, match="in quarantine; back with modelport quarantine m@2 WHY --release"):
        promote("m", 2, repository=repository.root)
