"""A server looks at every manifest at every poll: each is read once until it changes."""

import sys
from pathlib import Path

import pytest

from modelport import manifest as manifests
from modelport.errors import DataLoss
from modelport.manifest_cache import ManifestCache

OPENED: list[str] = []


def _note(event, arguments) -> None:
    if event == "open" and str(arguments[0]).endswith("manifest.json"):
        OPENED.append(str(arguments[0]))


sys.addaudithook(_note)


@pytest.fixture
def version(repository, publish) -> Path:
    return publish(repository).path


def opened(version: Path) -> int:
    """How often the manifest was opened since the last look."""
    count = OPENED.count(str(version / manifests.RELATIVE_PATH))
    OPENED.clear()
    return count


def test_a_manifest_is_read_once_until_it_changes(version):
    cache = ManifestCache()
    opened(version)
    first = cache.read(version)
    assert [cache.read(version) for _ in range(5)] == [first] * 5
    assert first == manifests.read(version)
    assert opened(version) == 2
    path = version / manifests.RELATIVE_PATH
    text = path.read_text().replace('"version": 1', '"version": 7')
    path.with_name("new").write_text(text)
    path.with_name("new").replace(path)
    opened(version)
    assert cache.read(version).version == 7
    assert cache.read(version).version == 7
    assert opened(version) == 1


def test_what_is_wrong_is_remembered_too(version):
    """A gigabyte of a manifest was read anew at every poll."""
    cache = ManifestCache()
    path = version / manifests.RELATIVE_PATH
    whole = path.read_text()
    path.write_text(whole[:20])
    opened(version)
    for _ in range(3):
        with pytest.raises(DataLoss, match="cannot be read"):
            cache.read(version)
    assert opened(version) == 1
    path.write_text(whole)
    assert cache.read(version).version == 1


def test_a_trap_is_never_opened(version, trap):
    make, said = trap
    (version / manifests.RELATIVE_PATH).unlink()
    make(version / manifests.RELATIVE_PATH)
    cache = ManifestCache()
    for _ in range(3):
        with pytest.raises(DataLoss, match=said):
            cache.read(version)


def test_versions_that_come_and_go(version, repository, publish):
    cache = ManifestCache()
    path = version / manifests.RELATIVE_PATH
    assert cache.read(version).version == 1
    path.rename(path.with_name("away"))
    assert cache.read(version) is None
    path.with_name("away").rename(path)
    assert cache.read(version).version == 1
    other = publish(repository, "other").path
    assert cache.read(other).version == 2
    cache.keep([other])
    opened(version)
    assert cache.read(version).version == 1
    assert opened(version) == 1
