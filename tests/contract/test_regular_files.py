"""Reading what lies on somebody's disk: it never waits, never fills the memory, and says what it found."""

import os
import stat
import threading
import time
from pathlib import Path

import pytest

from modelport.errors import FailedPrecondition, InvalidArgument, ModelportError, NotFound
from modelport.regular_files import copy_regular, files_below, open_regular, read_bounded, read_text

ENOUGH_S = 60.0


def test_a_trap_is_refused_by_name(tmp_path, trap):
    """A FIFO stopped the reader for ever, a link to /dev/zero filled the memory."""
    make, said = trap
    make(tmp_path / "file")
    with pytest.raises(ModelportError, match=said) as caught:
        read_bounded(tmp_path / "file", 2**20)
    assert str(tmp_path / "file") in caught.value.message


def test_a_fifo_with_a_writer_is_not_drained(tmp_path):
    """To open a FIFO wakes who waits to write into it."""
    os.mkfifo(tmp_path / "fifo")
    writer = os.open(tmp_path / "fifo", os.O_RDWR | os.O_NONBLOCK)
    try:
        os.write(writer, b"kept")
        with pytest.raises(FailedPrecondition, match="a FIFO"):
            open_regular(tmp_path / "fifo")
        assert os.read(writer, 9) == b"kept"
    finally:
        os.close(writer)


def test_the_bound_is_exact(tmp_path):
    (tmp_path / "file").write_bytes(b"12345")
    assert read_bounded(tmp_path / "file", 5) == b"12345"
    with pytest.raises(FailedPrecondition, match=r"at most 4 bytes in .*file'. Received: a file of 5 bytes"):
        read_bounded(tmp_path / "file", 4)


def test_a_file_that_says_nothing_of_its_size():
    """Files in /proc are of 0 bytes until they are read."""
    assert b"python" in read_bounded(Path("/proc/self/cmdline"), 2**20)
    with pytest.raises(FailedPrecondition, match="at most 3 bytes"):
        read_bounded(Path("/proc/self/cmdline"), 3)


def test_a_file_that_is_swapped_for_a_fifo_again_and_again(tmp_path):
    """Between the look and the opening: the reader gets the content or an error, and never waits."""
    path = tmp_path / "file"
    path.write_bytes(b"content")
    ended = threading.Event()
    answers: set[object] = set()
    reads = 0

    def swap() -> None:
        while not ended.is_set():
            os.mkfifo(tmp_path / "fifo")
            (tmp_path / "fifo").replace(path)
            (tmp_path / "regular").write_bytes(b"content")
            (tmp_path / "regular").replace(path)

    thread = threading.Thread(target=swap)
    thread.start()
    end = time.monotonic() + ENOUGH_S
    try:
        while len(answers) < 2 or reads < 2000:  # a busy machine may let one of them run for long
            assert time.monotonic() < end, answers
            reads += 1
            try:
                answers.add(read_bounded(path, 100))
            except FailedPrecondition as error:
                answers.add(error.message.rpartition("which is ")[2])
    finally:
        ended.set()
        thread.join()
    assert answers == {b"content", "a FIFO."}


def test_what_is_not_there(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    for name in ("none", "file/none", "dangling"):
        with pytest.raises(NotFound, match="Cannot read the thing"):
            read_bounded(tmp_path / name, 1, "read the thing")
    with pytest.raises(FailedPrecondition, match="Too many levels of symbolic links"):
        read_bounded(tmp_path / "loop", 1)


def test_a_link_to_a_regular_file_is_followed(tmp_path):
    (tmp_path / "file").write_text("content")
    (tmp_path / "link").symlink_to("file")
    assert read_text(tmp_path / "link", 100) == "content"


@pytest.mark.parametrize(
    ("data", "text"),
    [(b"\xef\xbb\xbfa\r\nb\r\n", "a\r\nb\r\n"), ("ä\n".encode(), "ä\n"), (b"", ""), (b"\xef\xbb\xbf", "")],
)
def test_utf_8_with_and_without_a_mark(tmp_path, data, text):
    (tmp_path / "file").write_bytes(data)
    assert read_text(tmp_path / "file", 100) == text


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("models".encode("utf-16"), "its byte-order mark is that of UTF-16"),
        (b"\xfe\xff\0m", "its byte-order mark is that of UTF-16"),
        ("models".encode("utf-32"), "its byte-order mark is that of UTF-32"),
        ("models".encode("utf-16-le"), "byte 1 is zero"),
        ("one\ntwo\nbä".encode("latin-1"), "byte 9, in line 3, is 0xe4"),
    ],
)
def test_other_encodings_are_refused_with_a_sentence(tmp_path, data, said):
    (tmp_path / "file").write_bytes(data)
    with pytest.raises(InvalidArgument, match=f"it is no UTF-8: {said}.*Save it as UTF-8") as caught:
        read_text(tmp_path / "file", 100)
    assert str(tmp_path / "file") in caught.value.message


def test_a_tree_of_files(tmp_path):
    (tmp_path / "a" / "empty").mkdir(parents=True)
    (tmp_path / "a" / "b").touch()
    (tmp_path / "c").touch()
    (tmp_path / "d").symlink_to("a/b")
    assert [path.relative_to(tmp_path).as_posix() for path in files_below(tmp_path)] == ["a/b", "c", "d"]


@pytest.mark.parametrize(
    ("target", "said"),
    [("/dev/zero", "a character device"), ("folder", "a folder"), (".", "a folder"), ("nowhere", "No such file")],
)
def test_a_tree_with_a_link_to_something_else(tmp_path, target, said):
    """A link to a folder may lead round in a circle; what it holds would not be digested."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "link").symlink_to(tmp_path / target)
    with pytest.raises(ModelportError, match=said) as caught:
        files_below(tmp_path)
    assert str(tmp_path / "folder" / "link") in caught.value.message


def test_a_copy_has_content_and_mode(tmp_path):
    (tmp_path / "from").write_bytes(b"x" * (2**20 + 1))
    (tmp_path / "from").chmod(0o640)
    copy_regular(str(tmp_path / "from"), str(tmp_path / "to"))
    assert (tmp_path / "to").read_bytes() == (tmp_path / "from").read_bytes()
    assert stat.S_IMODE((tmp_path / "to").stat().st_mode) == 0o640
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(FailedPrecondition, match="a FIFO"):
        copy_regular(str(tmp_path / "fifo"), str(tmp_path / "to"))
