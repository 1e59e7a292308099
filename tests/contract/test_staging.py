"""Stage and commit: whole versions or none, numbers never twice, and what survives a kill."""

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
    ModelportError,
    OutOfRange,
    PermissionDenied,
    ResourceExhausted,
)
from modelport.manifest import Manifest
from modelport.readable import closed_to_others
from modelport.repository import Repository
from modelport.staging import Staging

PUBLISHER = Path(__file__).with_name("publisher.py")


def test_equal_content_is_published_once(repository, publish):
    first = publish(repository, "same")
    again = publish(repository, "same")
    assert (again.version, again.new, again.path) == (1, False, first.path)
    assert repository.versions("m") == [1]
    publish(repository, "other")
    back = publish(repository, "same")  # not the newest any more: somebody wants it served again
    assert (back.version, back.new) == (3, True)


def test_the_publishers_own_digest_decides(repository, publish):
    assert publish(repository, "a", content_digest="d1").new
    assert not publish(repository, "b", content_digest="d1").new
    assert publish(repository, "b", content_digest="d2").version == 2


def test_numbers_are_not_used_twice(repository, publish):
    publish(repository, "one")
    second = publish(repository, "two")
    for path in sorted(second.path.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    second.path.rmdir()
    assert publish(repository, "three").version == 3


def test_numbers_continue_after_foreign_versions(repository, publish):
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


def test_a_full_disk(tmp_path, publish):
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


@pytest.mark.slow
def test_a_publisher_killed_at_each_of_its_steps(tmp_path, publish):
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


def test_two_publishers_at_once(tmp_path, publish):
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


def test_all_users_can_read_what_is_published_whatever_the_umask_is(tmp_path, publish):
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


def test_a_base_path_is_enough(tmp_path):
    with Staging(tmp_path / "m") as staging:
        (staging.path / "saved_model.pb").touch()
        published = staging.commit(Manifest(model="another"))
    assert (published.model, published.version) == ("m", 1)
    assert manifests.read(published.path).model == "m"


def test_no_publisher_waits_for_a_number_that_never_comes(repository, publish, trap):
    """`.allotted` is a FIFO, a device, a terabyte …: one line says so, and the next publisher is not kept waiting."""
    make, said = trap
    (repository.root / "m").mkdir(parents=True)
    make(repository.root / "m" / ".allotted")
    for _ in range(2):
        with pytest.raises(ModelportError, match=said) as caught:
            publish(repository)
        assert ".allotted" in caught.value.message
    assert [path.name for path in (repository.root / "m").iterdir()] == [".allotted"]


@pytest.mark.parametrize("text", ["seven", "1.5", "7 8", "9" * 19, "\xff"])
def test_a_last_number_that_is_none(repository, publish, text):
    """It was taken for 0, and a number could be given out twice."""
    (repository.root / "m").mkdir(parents=True)
    (repository.root / "m" / ".allotted").write_text(text)
    with pytest.raises(DataLoss, match="Expected the last number given out"):
        publish(repository)


@pytest.mark.parametrize(("text", "version"), [("", 1), ("\n", 1), ("41", 42), (" 41 \n\n", 42)])
def test_a_last_number_that_was_written_by_hand(repository, publish, text, version):
    (repository.root / "m").mkdir(parents=True)
    (repository.root / "m" / ".allotted").write_text(text)
    assert publish(repository).version == version
    assert (repository.root / "m" / ".allotted").read_text() == f"{version}\n"


def test_there_is_no_number_above_the_highest(repository, publish):
    """A version that no server would ever look at was published."""
    (repository.root / "m" / str(2**63 - 1)).mkdir(parents=True)
    with pytest.raises(OutOfRange, match="servers read none that high"):
        publish(repository)


@pytest.mark.parametrize("trap", ["FIFO", "device", "socket"], indirect=True)
def test_what_is_no_file_does_not_get_into_a_version(repository, trap):
    """A FIFO among the assets: the commit waited for its writer, with the model's lock in its hand."""
    make, said = trap
    with pytest.raises(FailedPrecondition, match=said), repository.stage("m") as staging:
        (staging.path / "saved_model.pb").touch()
        (staging.path / "assets").mkdir()
        make(staging.path / "assets" / "vocabulary.txt")
        staging.commit(Manifest(model="m"))
    assert repository.versions("m") == []


def test_the_newest_version_has_a_broken_manifest(repository, publish):
    """What is wrong is said, and nothing is published over it unseen."""
    version = publish(repository).path
    (version / manifests.RELATIVE_PATH).unlink()
    (version / manifests.RELATIVE_PATH).symlink_to("/dev/zero")
    with pytest.raises(DataLoss, match=r"manifest\.json', which is a link to '/dev/zero', a character device"):
        publish(repository, "next")
    assert repository.versions("m") == [1]


def test_a_manifest_that_nobody_would_read_is_not_written(repository, publish):
    with pytest.raises(InvalidArgument, match="Expected a manifest of at most 4,194,304 bytes"):
        publish(repository, training={"long": "x" * manifests.MOST_BYTES})
    assert repository.versions("m") == []


def test_a_flush_that_fails_after_the_rename_is_told_as_that(repository, publish, monkeypatch):
    """The version is there: whoever tried again because of the error would publish it twice."""
    publish(repository, "first")
    fsync, base = os.fsync, repository.version_path("m", 1).parent

    def refuse(handle):
        if os.path.samestat(os.fstat(handle), base.stat()) and (base / "2").exists():
            raise OSError(errno.EIO, "Input/output error")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(DataLoss, match=r"m/2' is there, whole and visible.*could not be flushed.*Input/output error"):
        publish(repository, "second")
    assert repository.versions("m") == [1, 2]
    assert repository.read_manifest("m", 2).version == 2
