"""Files and folders that are there whole or not at all, whoever is killed, and nothing is left behind."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from modelport import atomic
from modelport.atomic import Aside, new_folder, sweep, write, write_text
from modelport.errors import AlreadyExists, FailedPrecondition, ModelportError, ResourceExhausted


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_made_aside_under_its_own_name(tmp_path):
    """Keras and numpy look at the suffix."""
    seen = []

    def make(path: Path) -> None:
        seen.append((path.name, (tmp_path / "sub" / "model.keras").exists()))
        path.write_text("new")

    write(tmp_path / "sub" / "model.keras", make)
    assert seen == [("model.keras", False)]
    assert (tmp_path / "sub" / "model.keras").read_text() == "new"
    assert names(tmp_path / "sub") == ["model.keras"]


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")

    def half(made: Path) -> None:
        made.write_text("ne")
        raise OSError(28, "No space left on device")

    with pytest.raises(ResourceExhausted, match=r"Cannot write '.*file\.txt': No space left"):
        write(path, half)
    with pytest.raises(ZeroDivisionError):
        write(path, lambda made: 1 / 0)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file.txt"]


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444, 0o664])
def test_a_file_keeps_its_mode(tmp_path, mode):
    """A private file became one for all, and one that the server could read became one that it could not."""
    path = tmp_path / "file"
    path.touch()
    path.chmod(mode)
    write_text(path, "new")
    assert path.stat().st_mode & 0o777 == mode
    assert path.read_text() == "new"


def test_a_new_file_has_the_mode_of_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "file", "new")
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_a_file_keeps_its_owner_and_group(tmp_path):
    """`sudo modelport promote` took the configuration away from the server's user."""
    path = tmp_path / "file"
    path.touch()
    os.chown(path, 65534, 65533)
    write_text(path, "new")
    assert (path.stat().st_uid, path.stat().st_gid) == (65534, 65533)


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").write_text("old")
    (tmp_path / "link").symlink_to("kept/file")
    write_text(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "kept" / "file").read_text() == "new"
    assert names(tmp_path) == ["kept", "link"]


def test_line_ends_are_written_as_they_are(tmp_path):
    write_text(tmp_path / "file", "a\r\nä\n")
    assert (tmp_path / "file").read_bytes() == b"a\r\n\xc3\xa4\n"


def test_a_folder_is_there_when_it_is_whole(tmp_path):
    with new_folder(tmp_path / "out" / "model") as folder:
        (folder / "deep").mkdir()
        (folder / "deep" / "file").write_text("content")
        assert not (tmp_path / "out" / "model").exists()
    assert (tmp_path / "out" / "model" / "deep" / "file").read_text() == "content"
    assert names(tmp_path / "out") == ["model"]


def test_a_folder_that_fails_is_gone(tmp_path):
    with pytest.raises(ZeroDivisionError), new_folder(tmp_path / "model") as folder:
        (folder / "file").touch()
        raise ZeroDivisionError
    assert names(tmp_path) == []


def test_nothing_is_overwritten_by_a_folder(tmp_path):
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "empty").mkdir()
    for name in ("dangling", "empty"):
        with pytest.raises(AlreadyExists, match="nothing is overwritten"), new_folder(tmp_path / name):
            pass
    assert names(tmp_path) == ["dangling", "empty"]


def test_a_fifo_in_a_folder_is_refused_and_not_waited_for(tmp_path):
    with pytest.raises(FailedPrecondition, match="a FIFO"), new_folder(tmp_path / "model") as folder:
        os.mkfifo(folder / "fifo")
    assert names(tmp_path) == []


WRITER = """
import os, signal, sys
from pathlib import Path
from modelport import atomic
path, content, limit = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
count = 0
def audit(event, arguments):
    global count
    if event in ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.listdir", "os.scandir", "fcntl.flock"):
        if event == "fcntl.flock" or any(str(path.parent) in str(argument) for argument in arguments):
            count += 1
            if count == limit:
                os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(audit)
atomic.write_text(path, content * 100_000)
print(count)
"""


@pytest.mark.slow
def test_a_writer_killed_at_each_of_its_steps(tmp_path):
    """kill -9 before each file system call: the old text or the new one, and the next writer cleans up."""
    path = tmp_path / "file"
    write_text(path, "0" * 100_000)

    def run(content: str, limit: int) -> subprocess.CompletedProcess:
        command = [sys.executable, "-c", WRITER, str(path), content, str(limit)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    steps = int(run("1", -1).stdout)
    assert steps >= 10, "the writer's steps are not being counted"
    for limit in range(1, steps + 1):
        before, content = path.read_text(), str(limit % 10)
        assert run(content, limit).returncode == -signal.SIGKILL
        assert path.read_text() in (before, content * 100_000)
        assert len(names(tmp_path)) <= 2
        write_text(path, before)
        assert names(tmp_path) == ["file"], "the next writer left the dead one's folder behind"


def test_what_the_living_write_is_not_swept(tmp_path):
    with Aside(tmp_path) as aside:
        (aside.path / "half").touch()
        write_text(tmp_path / "other", "new")
        sweep(tmp_path)
        assert (aside.path / "half").exists()
    assert names(tmp_path) == ["other"]


def test_folders_of_others_are_not_swept(tmp_path):
    """Only names that we give ourselves: somebody may keep things in `.modelport-old`."""
    for name in (
        ".modelport-old",
        f"{atomic.PREFIX}0123456789abc",
        ".staging-0123456789ab",
        "x.modelport-0123456789ab",
    ):
        (tmp_path / name).mkdir()
    (tmp_path / f"{atomic.PREFIX}0123456789ab").symlink_to(".modelport-old")
    (tmp_path / f"{atomic.PREFIX}0123456789ac").touch()
    (tmp_path / f"{atomic.PREFIX}0123456789ad").mkdir()
    before = names(tmp_path)
    sweep(tmp_path)
    assert names(tmp_path) == [name for name in before if not name.endswith("ad")]


def test_many_writers_at_once(tmp_path):
    """Each takes the others' new folders for those of the dead, unless it looks twice."""
    code = "import sys; from pathlib import Path; from modelport.atomic import write_text\n"
    code += "for n in range(200): write_text(Path(sys.argv[1]), sys.argv[2] * 1000)"
    command = [sys.executable, "-c", code, str(tmp_path / "file")]
    running = [subprocess.Popen([*command, letter], stderr=subprocess.PIPE, text=True) for letter in "abc"]
    for process in running:
        assert process.communicate(timeout=60)[1] == ""
        assert process.returncode == 0
    assert (tmp_path / "file").read_text() in {letter * 1000 for letter in "abc"}
    assert names(tmp_path) == ["file"]


def test_where_folders_cannot_be_locked_nothing_is_swept(tmp_path, monkeypatch):
    """Linux refuses to lock a folder over NFS: nothing could be published there."""

    def refuse(handle: int, operation: int) -> None:
        raise OSError(errno.EBADF, "Bad file descriptor")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with Aside(tmp_path) as aside:
        (aside.path / "half").touch()
        write_text(tmp_path / "file", "new")
        assert (aside.path / "half").exists()
    assert names(tmp_path) == ["file"]


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ModelportError, match="Cannot write"):
        write_text(tmp_path / "file" / "below", "new")
