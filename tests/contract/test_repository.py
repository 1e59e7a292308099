"""The repository: models, versions and manifests as they lie on the disk."""

from pathlib import Path

import pytest

from modelport import manifest as manifests
from modelport.errors import FailedPrecondition, InvalidArgument, NotFound
from modelport.repository import Repository


@pytest.mark.parametrize(
    "name",
    ["", "a/b", "..", ".", ".hidden", "a b", "../a", "a\0", "-x", "n" * 129, "ü", "a\n", "/etc", "a\\b", None, 3],
)
def test_bad_names(repository, name):
    with pytest.raises(InvalidArgument, match="Expected a model name"):
        repository.stage(name)
    assert not repository.root.exists()


@pytest.mark.parametrize("name", ["m", "digits", "a-b_c.d", "7", "A1"])
def test_good_names(repository, name, publish):
    assert publish(repository, model=name).path == repository.root / name / "1"
    assert repository.models() == [name]


def test_a_version_is_numbered_described_and_never_changed(repository, publish):
    first = publish(repository, "one", metrics={"accuracy": 0.9})
    second = publish(repository, "two")
    assert (first.version, second.version, first.new, second.new) == (1, 2, True, True)
    assert repository.versions("m") == [1, 2]
    manifest = repository.read_manifest("m", 2)
    assert manifest.version == 2
    assert manifest.parent_version == 1
    assert set(manifest.files) == {"saved_model.pb", "variables/variables.index"}
    assert repository.read_manifest("m", 1).metrics == {"accuracy": 0.9}
    assert manifests.from_json(manifest.to_json(), Path("x")) == manifest
    manifests.verify(second.path)


def test_missing_versions_are_named(repository, publish):
    publish(repository)
    with pytest.raises(NotFound, match=r"\(1\). Received: 4"):
        repository.version_path("m", 4)
    with pytest.raises(NotFound, match="none"):
        repository.version_path("other", 1)


def test_a_file_is_no_repository(tmp_path):
    (tmp_path / "models").write_text("not a folder")
    with pytest.raises(FailedPrecondition, match="which is a file"):
        Repository(tmp_path / "models")
