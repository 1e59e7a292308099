"""What `modelport ls` and `modelport verify` say of a repository."""

import json
from datetime import UTC, datetime

import pytest

from modelport.__main__ import main
from modelport.errors import InvalidArgument, NotFound
from modelport.manifest import Manifest
from modelport.repository import Repository
from modelport_release import listing, promote


@pytest.fixture
def repository(tmp_path):
    found = Repository(tmp_path / "models")
    for name, count in (("digits", 3), ("words", 1)):
        for number in range(1, count + 1):
            with found.stage(name) as staging:
                (staging.path / "saved_model.pb").write_bytes(bytes([number]) * 1000)
                facts = Manifest(model=name, metrics={"accuracy": 0.9 + number / 100}, proof={"verdict": "proven"})
                staging.commit(facts)
    return found


def test_all_models_and_the_versions_of_one(repository, capsys):
    promote("digits", 2, repository=repository.root)
    promote("digits", 2, label="stable", repository=repository.root)
    argv = ["--repository", str(repository.root)]
    assert main(["ls", *argv, "--json"]) == 0
    models = {model["name"]: model for model in json.loads(capsys.readouterr().out)}
    assert (models["digits"]["live"], models["digits"]["newest"], models["digits"]["versions"]) == (2, 3, 3)
    assert models["digits"]["labels"] == {"stable": 2}
    assert (models["words"]["live"], models["words"]["labels"]) == (1, {})
    assert models["words"]["bytes"] > 1000
    assert main(["ls", "digits", *argv]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "proven" in line]
    assert [line.split("│")[1].strip() for line in lines] == ["3", "2", "1"]
    assert "live" in lines[1]
    assert "stable" in lines[1]
    assert "accuracy 0.92" in lines[1]
    assert main(["ls", *argv]) == 0
    assert "stable=2" in capsys.readouterr().out


def test_names_are_resolved_and_near_ones_told(repository):
    promote("digits", 1, label="old", repository=repository.root)
    assert listing.resolve(repository, "digits") == ("digits", None)
    assert listing.resolve(repository, "digits@2") == ("digits", 2)
    assert listing.resolve(repository, "digits@old") == ("digits", 1)
    for text, kind, said in (
        ("digit", NotFound, r"\(digits, words\). Received: 'digit'"),
        ("digits@7", NotFound, r"\(1, 2, 3\). Received: 7"),
        ("digits@new", NotFound, r"label of 'digits' \(old\). Received: 'new'"),
        ("digits@", InvalidArgument, "NAME@VERSION"),
        ("@1", InvalidArgument, "NAME@VERSION"),
    ):
        with pytest.raises(kind, match=said):
            listing.resolve(repository, text)


def test_a_file_that_changed_is_found(repository, capsys):
    argv = ["--repository", str(repository.root)]
    assert main(["verify", *argv]) == 0
    assert capsys.readouterr().out.count("as it was written") == 4
    (repository.version_path("digits", 2) / "saved_model.pb").write_bytes(b"other")
    assert main(["verify", "digits", *argv]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines if "FAILED" in line] == ["digits@2"]
    assert main(["verify", "digits@1", *argv]) == 0


def test_a_manifest_that_cannot_be_read_is_told_in_its_row(repository, capsys):
    (repository.version_path("digits", 1) / "assets.extra" / "manifest.json").write_text("{")
    (repository.version_path("digits", 2) / "assets.extra" / "manifest.json").unlink()
    assert main(["ls", "digits", "--repository", str(repository.root)]) == 0
    out = capsys.readouterr().out
    assert "not published by" in out
    assert "Expected" in out


def test_where_there_is_no_repository(tmp_path, capsys):
    assert main(["ls", "--repository", str(tmp_path / "none")]) == 1
    assert "which is no folder" in capsys.readouterr().err


@pytest.mark.parametrize(("hours", "said"), [(0, "0 s"), (1.5, "2 h"), (0.2, "12 min"), (72, "3 d")])
def test_an_age_is_told_in_its_largest_unit(hours, said):
    created = datetime(2026, 1, 1, tzinfo=UTC)
    now = datetime.fromtimestamp(created.timestamp() + hours * 3600, UTC)
    assert listing.age(created.isoformat(), now) == said
    assert listing.age("", now) == ""
