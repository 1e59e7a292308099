"""Promotions of a repository that `modelport serve` serves: they live in its models.config."""

import json
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from modelport import history
from modelport.__main__ import main
from modelport.errors import DataLoss, DeadlineExceeded, FailedPrecondition, InvalidArgument, ModelportError, NotFound
from modelport.manifest import Manifest
from modelport.repository import Repository
from modelport.serverconfig import Latest, Specific, parse_models
from modelport_client import Client
from modelport_release import promote, rollback
from modelport_release.promotion.configuration import Configuration

X = {"x": np.zeros(1, np.float32)}


def answers(client, **which):
    return client.predict("m", X, **which).version


def test_promoted_and_back_by_the_command_line(repository, server, client, capsys, monkeypatch):
    """The README's flow: nothing is named but the model and the version."""
    monkeypatch.chdir(repository.parent)
    command = ["--server", server.grpc_address]
    assert main(["promote", "m", "1", *command, "--why", "2 is slow"]) == 0
    assert answers(client) == 1
    assert "m: specific { versions: 1 }" in capsys.readouterr().out
    assert main(["rollback", "m", *command]) == 0
    assert answers(client) == 2
    assert "back to version 2" in capsys.readouterr().out
    assert main(["rollback", "m", *command]) == 0
    assert answers(client) == 1
    capsys.readouterr()
    assert main(["history", "m", "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["action"], line["version"], line["live"]) for line in lines] == [
        ("publish", 1, 1),
        ("publish", 2, 2),
        ("promote", 1, 1),
        ("rollback", 2, 2),
        ("rollback", 1, 1),
    ]
    assert lines[2]["why"] == "2 is slow"
    assert main(["history", "m"]) == 0
    assert "rollback" in capsys.readouterr().out
    assert client.predict("other", X).version == 2


def test_the_models_of_others_are_left_alone_when_a_promotion_fails(repository, server, client):
    broken = repository / "m" / "3"
    broken.mkdir()
    (broken / "saved_model.pb").write_bytes(b"\x08\x01\x12\xff")
    with pytest.raises(ModelportError):
        promote("m", 3, repository=repository, server=server.grpc_address, timeout=20)
    file = repository / "models.config"
    assert parse_models(file.read_text()).models[0].policy == Latest()
    assert answers(client) == 2
    assert [entry.action for entry in history.read(repository / "m")] == ["publish", "publish"]


def test_twenty_promotions_at_once_lose_nothing(repository):
    """Of 20 with --file-only 5 lost an update, and all said that it was done."""

    def toggle(model, number):
        promote(model, 1 + number % 2, repository=repository)

    threads = [threading.Thread(target=toggle, args=(model, n)) for n in range(10) for model in ("m", "other")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    configured = {model.name: model.policy for model in parse_models((repository / "models.config").read_text()).models}
    for model in ("m", "other"):
        last = history.read(repository / model)[-1]
        assert configured[model] == Specific((last.live,))


def test_who_waits_for_another_promotion_is_told(repository):
    with Configuration.of_repository(repository).locked(0.0), pytest.raises(DeadlineExceeded, match="under way"):
        promote("m", 1, repository=repository, timeout=0.1)


def test_a_label_is_taken_away(repository, server, client):
    given = {"repository": repository, "server": server.grpc_address}
    promote("m", 1, label="old", **given)
    assert answers(client, label="old") == 1
    now = promote("m", None, unlabel="old", **given)
    assert (now.labels, now.policy) == ({}, Specific((2,)))
    with pytest.raises(InvalidArgument, match="label: old"):
        answers(client, label="old")
    with pytest.raises(NotFound, match=r"label of 'm' \(none\). Received: 'old'"):
        promote("m", None, unlabel="old", **given)
    assert [entry.action for entry in history.read(repository / "m")][2:] == ["label", "unlabel"]


def test_back_to_where_a_label_was(repository, server, client):
    given = {"repository": repository, "server": server.grpc_address}
    for number in (1, 2):
        promote("m", number, label="stable", **given)
    assert rollback("m", label="stable", **given)[0] == 1
    assert answers(client, label="stable") == 1
    assert answers(client) == 2


@pytest.mark.parametrize("keep", [True, False])
def test_where_requests_without_a_label_go_is_said_before_it_changes(repository, server, client, keep):
    """After a rollback, a label for another version moved all traffic without one."""
    given = {"repository": repository, "server": server.grpc_address}
    promote("m", 2, **given)
    promote("m", 2, label="stable", **given)
    lines = []
    now = promote("m", 1, label="stable", keep_unlabelled=keep, say=lines.append, **given)
    assert now.policy == Specific((1, 2) if keep else (1,))
    assert answers(client) == (2 if keep else 1)
    assert answers(client, label="stable") == 1
    said = "go to version 1 after this, and went to 2 before. --keep-unlabelled"
    assert [line for line in lines if "waiting for version 1" in line]
    assert any(said in line for line in lines) != keep


def test_rollback_needs_no_server_and_says_what_it_does_not_know(repository):
    version, now = rollback("m", repository=repository)
    assert (version, now.policy) == (1, Specific((1,)))
    (repository / "other" / "history.jsonl").unlink()
    with pytest.raises(FailedPrecondition, match=r"0 entries.*modelport promote other VERSION"):
        rollback("other", repository=repository)
    with pytest.raises(NotFound, match=r"\(other, m\). Received: 'othr'"):
        rollback("othr", repository=repository)


def test_publishing_is_in_the_history(tmp_path):
    keras = pytest.importorskip("keras")
    from modelport_export import publish

    for value in (1.0, 2.0):
        model = keras.Sequential([keras.Input((3,), name="x"), keras.layers.Dense(1)])
        model.set_weights([np.full((3, 1), value), np.zeros(1)])
        publish(model, name="m", repository=tmp_path / "models")
    entries = history.read(tmp_path / "models" / "m")
    assert [(entry.action, entry.version, entry.live) for entry in entries] == [("publish", 1, 1), ("publish", 2, 2)]
    assert entries[0].verdict.startswith("proven on random samples ")
    assert rollback("m", repository=tmp_path / "models")[0] == 1


@pytest.mark.parametrize(
    "argv",
    [["promote", "m"], ["promote", "m", "1", "--unlabel", "x"], ["promote", "m", "--label", "x"], ["rollback"]],
)
def test_a_wrong_command_line_is_exit_code_2(argv):
    with pytest.raises(SystemExit) as stop:
        main(argv)
    assert stop.value.code == 2


def test_a_damaged_version_is_found_before_the_live_one_goes(tmp_path):
    """The server let the live version go, and said that the other one was not there."""
    found = Repository(tmp_path / "models")
    for number in (1, 2):
        with found.stage("m") as staging:
            (staging.path / "saved_model.pb").write_bytes(bytes([number]) * 100)
            staging.commit(Manifest(model="m"))
    (found.version_path("m", 1) / "saved_model.pb").write_bytes(b"cut")
    with pytest.raises(DataLoss, match="Expected 100 bytes"):
        promote("m", 1, repository=found.root)
    assert not (found.root / "models.config").exists()


def test_a_promotion_that_is_ended_puts_back_what_it_changed(repository, serve, add_version):
    """The server is a process of its own, for nothing else ends a load that never ends."""
    address = serve(str(repository), "--port=auto").address("gRPC")
    promote("m", 2, repository=repository, server=address)
    add_version(repository / "m", 3, "endless_init")  # is never available
    before = (repository / "models.config").read_text()
    command = [sys.executable, "-m", "modelport", "promote", "m", "3", "--server", address]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=repository.parent) as process:
        assert "waiting for version 3" in process.stderr.readline()
        deadline = time.monotonic() + 30
        while (repository / "models.config").read_text() == before:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.terminate()
        assert process.wait(30) == 143
    assert (repository / "models.config").read_text() == before
    with Client(address) as client:
        client.wait_until_available("m", 2, timeout=30)


def test_who_changes_nothing_is_told(repository):
    lines = []
    promote("m", 1, repository=repository)
    promote("m", 1, repository=repository, say=lines.append)
    assert ["Nothing was changed" in line for line in lines] == [True]


def test_a_label_is_taken_away_while_an_older_version_is_live(repository, server, client):
    """It waited for the newest version, which nobody was to serve, and failed."""
    at = {"repository": repository, "server": server.grpc_address, "timeout": 20}
    promote("m", 1, **at)
    promote("m", 1, label="stable", **at)
    promote("m", None, unlabel="stable", **at)
    assert answers(client) == 1


def test_a_change_that_cannot_be_written_down_is_not_made(repository, capsys):
    promote("m", 1, repository=repository)
    before = (repository / "models.config").read_text()
    with (repository / "m" / "history.jsonl").open("a") as file:
        file.write("{broken\n")
    for command in (["promote", "m", "2", "--file-only"], ["gc", "m", "--keep", "1"], ["pin", "m@2", "x"]):
        assert main([*command, "--repository", str(repository)]) == 1
        assert "The last line is b'{broken'" in capsys.readouterr().err
    assert (repository / "models.config").read_text() == before
    assert Repository(repository).versions("m") == [1, 2]
    assert not list((repository / "m").glob(".pinned*"))


def test_after_a_killed_promotion_the_way_back_is_to_what_was_written_last(repository, capsys):
    """The file said 1 and the history 2: rollback went to the version before, or to none."""
    promote("m", 1, repository=repository)
    promote("m", 2, repository=repository)
    config = repository / "models.config"
    config.write_text(config.read_text().replace("versions: 2", "versions: 1"))
    assert main(["doctor", str(repository)]) == 1
    assert "Version 1 is live, and the history ends with version 2" in capsys.readouterr().out
    assert rollback("m", repository=repository)[0] == 2
    config.write_text(config.read_text().replace("versions: 2", "versions: 1"))
    promote("m", 1, repository=repository)
    assert history.read(repository / "m")[-1].live == 1, "which is kept, and written down now"


def test_names_that_are_nearly_right(repository, server, capsys):
    promote("m", 2, repository=repository)
    promote("m", 1, label="stable", repository=repository)
    for words, told in (
        (["rollback", "m", "--label", "stabel"], "Did you mean 'stable'"),
        (["promote", "m@stabel"], "Did you mean 'stable'"),
        (["promote", "othr", "1"], "(other, m)"),
    ):
        assert main([*words, "--repository", str(repository), "--server", server.grpc_address]) == 1
        assert told in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["promote", "m", "1", "--server", server.rest_address])
    assert "of a gRPC port" in capsys.readouterr().err
