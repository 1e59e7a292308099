"""The repository: names, versions, stage and commit, and what survives a kill."""

import dataclasses
import errno
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from modelport import manifest as manifests
from modelport.errors import (
    DataLoss,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    ResourceExhausted,
)
from modelport.manifest import Manifest
from modelport.readable import closed_to_others
from modelport.repository import Repository, list_versions, parse_version

PUBLISHER = Path(__file__).with_name("publisher.py")


def publish(repository: Repository, content: str = "graph", model: str = "m", **facts):
    with repository.stage(model) as staging:
        (staging.path / "saved_model.pb").write_text(content)
        (staging.path / "variables").mkdir()
        (staging.path / "variables" / "variables.index").write_text(content)
        return staging.commit(Manifest(model=model, **facts))


@pytest.fixture
def repository(tmp_path) -> Repository:
    return Repository(tmp_path / "models")


@pytest.mark.parametrize(
    "name",
    ["", "a/b", "..", ".", ".hidden", "a b", "../a", "a\0", "-x", "n" * 129, "ü", "a\n", "/etc", "a\\b", None, 3],
)
def test_bad_names(repository, name):
    with pytest.raises(InvalidArgument, match="Expected a model name"):
        repository.stage(name)
    assert not repository.root.exists()


@pytest.mark.parametrize("name", ["m", "digits", "a-b_c.d", "7", "A1"])
def test_good_names(repository, name):
    assert publish(repository, model=name).path == repository.root / name / "1"
    assert repository.models() == [name]


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("1", 1),
        ("00000123", 123),
        ("+5", 5),
        (" 7 ", 7),
        ("-3", -3),
        ("0", 0),
        ("9223372036854775807", 2**63 - 1),
        ("9223372036854775808", None),
        ("v1", None),
        ("1.0", None),
        ("1e3", None),
        ("1_0", None),
        ("", None),
        ("2.denied", None),
        (".tmp-3", None),
        ("latest", None),
        ("١", None),
        ("1\n", 1),
    ],
)
def test_which_names_are_versions(name, version):
    assert parse_version(name) == version


def test_foreign_layouts_are_read_as_the_real_server_reads_them(tmp_path):
    for name in ("001", "1", "2", "007", "v3", "latest", "tmp"):
        (tmp_path / name).mkdir()
    (tmp_path / "9").write_text("a file counts too: its load fails and says so")
    found = list_versions(tmp_path)
    assert list(found) == [1, 2, 7, 9]
    assert found[1].name == "1"  # the last of '001' and '1' in lexicographic order
    assert found[7].name == "007"


def test_a_version_is_numbered_described_and_never_changed(repository):
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


def test_equal_content_is_published_once(repository):
    first = publish(repository, "same")
    again = publish(repository, "same")
    assert (again.version, again.new, again.path) == (1, False, first.path)
    assert repository.versions("m") == [1]
    publish(repository, "other")
    back = publish(repository, "same")  # not the newest any more: somebody wants it served again
    assert (back.version, back.new) == (3, True)


def test_the_publishers_own_digest_decides(repository):
    assert publish(repository, "a", content_digest="d1").new
    assert not publish(repository, "b", content_digest="d1").new
    assert publish(repository, "b", content_digest="d2").version == 2


def test_numbers_are_not_used_twice(repository):
    publish(repository, "one")
    second = publish(repository, "two")
    for path in sorted(second.path.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    second.path.rmdir()
    assert publish(repository, "three").version == 3


def test_numbers_continue_after_foreign_versions(repository):
    (repository.root / "m" / "1700000000").mkdir(parents=True)
    assert publish(repository).version == 1700000001


def test_nothing_is_left_when_the_block_is_left_early(repository):
    with pytest.raises(RuntimeError), repository.stage("m") as staging:
        (staging.path / "saved_model.pb").write_text("half")
        raise RuntimeError("interrupted")
    assert repository.versions("m") == []
    assert [path.name for path in (repository.root / "m").iterdir()] == [".allotted"]


def test_a_version_needs_a_saved_model(repository):
    with pytest.raises(FailedPrecondition, match=r"no 'saved_model.pb'"), repository.stage("m") as staging:
        staging.commit(Manifest(model="m"))


def test_missing_versions_are_named(repository):
    publish(repository)
    with pytest.raises(NotFound, match=r"\(1\). Received: 4"):
        repository.version_path("m", 4)
    with pytest.raises(NotFound, match="none"):
        repository.version_path("other", 1)


def test_a_file_is_no_repository(tmp_path):
    (tmp_path / "models").write_text("not a folder")
    with pytest.raises(FailedPrecondition, match="which is a file"):
        Repository(tmp_path / "models")


def test_a_file_in_place_of_a_model(tmp_path):
    (tmp_path / "m").write_text("not a folder")
    with pytest.raises((FailedPrecondition, Exception), match="stage a version"), Repository(tmp_path).stage("m"):
        pass


def run_publisher(root: Path, content: str, *more: str, **options) -> subprocess.CompletedProcess:
    command = [sys.executable, str(PUBLISHER), str(root), "m", content, *more]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **options)


def test_a_read_only_repository(tmp_path):
    """As an unprivileged user, because root may write everywhere."""
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents[:3]:
        if parent.owner() == tmp_path.owner():
            parent.chmod(parent.stat().st_mode | 0o055)
    root = tmp_path / "models"
    root.mkdir(mode=0o555)
    if os.geteuid() != 0:
        with pytest.raises(PermissionDenied, match="Permission denied"), Repository(root).stage("m"):
            pass
        return
    code = (
        "import os, modelport.staging\nfrom modelport.repository import Repository\n"
        "from modelport.errors import PermissionDenied\nos.setuid(65534)\n"
        f"try: Repository({str(root)!r}).stage('m').__enter__()\n"
        "except PermissionDenied as error: print(error)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert "Permission denied" in result.stdout, result.stderr
    assert list(root.iterdir()) == []


def test_a_full_disk(tmp_path):
    """A 256 kB file system in memory, mounted for the test."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(disk)], capture_output=True, text=True, check=False
    )
    if mount.returncode:
        pytest.skip(f"needs the right to mount a small file system: {mount.stderr.strip()}")
    try:
        repository = Repository(disk / "models")
        publish(repository, "small")
        with pytest.raises((ResourceExhausted, OSError)) as caught, repository.stage("m") as staging:
            (staging.path / "saved_model.pb").write_bytes(b"x" * 2**20)
            staging.commit(Manifest(model="m"))
        assert isinstance(caught.value, ResourceExhausted) or caught.value.errno == errno.ENOSPC
        assert repository.versions("m") == [1]
        filler = disk / "filler"
        with pytest.raises(OSError, match="No space"):
            filler.write_bytes(b"x" * 2**20)
        with pytest.raises(ResourceExhausted, match="No space left"), repository.stage("n") as staging:
            (staging.path / "saved_model.pb").touch()
            staging.commit(Manifest(model="n", training={"long": "x" * 100_000}))
        filler.unlink()
        assert publish(repository, "again").version == 2
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_publisher_killed_at_each_of_its_steps(tmp_path):
    """kill -9 before each file system call: only whole versions are ever listed, and the next publish cleans up."""
    root = tmp_path / "models"
    whole = run_publisher(root, "whole")
    steps = int(whole.stdout.split()[1])
    assert steps >= 25, "the publisher's steps are not being counted"
    kills = 0
    for point in range(1, 51):
        content = f"content-{point}"
        before = Repository(root).versions("m")
        killed = run_publisher(root, content, str(1 + (point - 1) % steps))
        kills += killed.returncode < 0
        after = Repository(root).versions("m")
        assert set(before) <= set(after), "a version was lost"
        for version in after:
            manifests.verify(Repository(root).version_path("m", version))
            assert Repository(root).read_manifest("m", version) is not None
        following = publish(Repository(root), f"after-{point}")
        assert following.version > max(after)
        staged = [path.name for path in (root / "m").iterdir() if path.name.startswith(".staging")]
        assert staged == [], "the next publish left the dead publisher's staging behind"
    assert kills >= 45, f"only {kills} of 50 publishers were killed"


def test_two_publishers_at_once(tmp_path):
    """20 rounds: no number is lost, none is given twice."""
    repository = Repository(tmp_path / "models")
    versions: list[int] = []

    def work(worker: int) -> None:
        versions.extend(publish(repository, f"worker {worker} round {number}").version for number in range(20))

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(versions) == list(range(1, 41))
    assert repository.versions("m") == list(range(1, 41))
    for version in versions:
        manifests.verify(repository.version_path("m", version))


def test_two_publishing_processes_at_once(tmp_path):
    command = [sys.executable, str(PUBLISHER), str(tmp_path / "models"), "m"]
    running = [subprocess.Popen([*command, f"p{i}"], stdout=subprocess.PIPE, text=True) for i in range(6)]
    versions = [int(process.communicate(timeout=60)[0].split()[0]) for process in running]
    assert sorted(versions) == [1, 2, 3, 4, 5, 6]


def test_the_digests_catch_what_was_changed(repository):
    version = publish(repository).path
    (version / "saved_model.pb").write_text("grap!")
    with pytest.raises(DataLoss, match="was changed"):
        manifests.verify(version)
    (version / "saved_model.pb").write_text("gra")
    with pytest.raises(DataLoss, match="Expected 5 bytes"):
        manifests.verify(version)
    (version / "saved_model.pb").unlink()
    with pytest.raises(DataLoss, match="missing"):
        manifests.verify(version)


def test_a_broken_manifest(repository):
    version = publish(repository).path
    (version / manifests.RELATIVE_PATH).write_text("{")
    with pytest.raises(DataLoss, match="cannot be read"):
        repository.read_manifest("m", 1)


def test_the_manifest_of_a_later_schema_is_read(repository):
    version = publish(repository).path
    path = version / manifests.RELATIVE_PATH
    path.write_text(path.read_text().replace('"schema": 1', '"schema": 2, "novelty": {}'))
    assert repository.read_manifest("m", 1).version == 1
    assert dataclasses.is_dataclass(repository.read_manifest("m", 1))


def test_all_users_can_read_what_is_published_whatever_the_umask_is(tmp_path):
    before = os.umask(0o077)
    try:
        published = publish(Repository(tmp_path / "new/models"))
    finally:
        os.umask(before)
    folders = [tmp_path / "new", tmp_path / "new/models", published.path.parent, published.path]
    assert closed_to_others(*folders) is None
    for path in published.path.rglob("*"):
        assert path.stat().st_mode & 0o004, path
        assert path.is_file() or path.stat().st_mode & 0o001, path
    folders[1].chmod(0o700)
    assert closed_to_others(*folders) == folders[1]
    Repository(tmp_path / "new/models").stage("m").__enter__().__exit__(None, None, None)
    assert folders[1].stat().st_mode & 0o777 == 0o700, "a folder that was closed on purpose stays closed"
