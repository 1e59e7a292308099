"""Lines are written by a thread: whoever writes one waits for nobody, and what cannot be written is told once."""

import os
import stat
import threading

import pytest

from modelport.errors import ModelportError
from modelport_serving.monitoring.line_writer import LineWriter
from tests.support.waiting import eventually

WAIT_S = 10.0


@pytest.fixture
def path(tmp_path):
    return tmp_path / "log"


def test_lines_come_in_order_and_whole(path):
    writer = LineWriter(path)
    for number in range(5000):
        writer.write(f"{number} é 你 \udcff")
    writer.close(WAIT_S)
    lines = path.read_text().splitlines()
    assert lines == [f"{number} é 你 \\udcff" for number in range(5000)]


def test_what_is_there_stays(path):
    path.write_text("before\n")
    path.chmod(0o600)
    writer = LineWriter(path)
    writer.write("after")
    writer.close(WAIT_S)
    assert path.read_text() == "before\nafter\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_new_file_is_not_for_all_to_read(path):
    before = os.umask(0)
    try:
        LineWriter(path).close(WAIT_S)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.parametrize("make", [lambda p: p.mkdir(), os.mkfifo, lambda p: p.symlink_to(p.parent / "no" / "folder")])
def test_what_cannot_be_opened(path, make):
    """A FIFO without a reader would be waited for."""
    make(path)
    with pytest.raises(ModelportError, match="log"):
        LineWriter(path)


def test_a_rotation(path):
    writer = LineWriter(path)
    writer.write("old")
    eventually(lambda: path.read_text() == "old\n")
    path.rename(path.with_suffix(".1"))
    writer.reopen()
    writer.write("new")
    writer.close(WAIT_S)
    assert path.with_suffix(".1").read_text() == "old\n"
    assert path.read_text() == "new\n"


def test_a_rotation_that_fails_goes_on_in_the_old_file(tmp_path):
    folder, said = tmp_path / "logs", []
    folder.mkdir()
    writer = LineWriter(folder / "log", said.append)
    folder.rename(tmp_path / "moved")
    writer.reopen()
    writer.write("line")
    writer.close(WAIT_S)
    assert (tmp_path / "moved" / "log").read_text() == "line\n"
    assert len(said) == 1
    assert "cannot be opened anew" in said[0]


def test_a_descriptor_is_not_opened_anew_or_closed():
    reading, writing = os.pipe()
    writer = LineWriter(writing)
    writer.reopen()
    writer.write("line")
    writer.close(WAIT_S)
    assert os.read(reading, 100) == b"line\n"
    os.close(writing)
    os.close(reading)


def test_a_reader_that_does_not_read_holds_up_nobody():
    """More lines than may wait are lost, and that is told once; the others come when it reads again."""
    reading, writing = os.pipe()
    said: list[str] = []
    writer = LineWriter(writing, said.append)
    for number in range(30_000):
        writer.write(f"{number:06}")
    assert said == [f"Lines for {writing} cannot be written, and are lost: more lines come than can be written"]
    writer.close(0.05)
    received = bytearray()

    def read() -> None:
        while piece := os.read(reading, 65536):
            received.extend(piece)

    reader = threading.Thread(target=read)
    reader.start()
    eventually(lambda: len(received) >= 10_000 * 7)
    os.close(writing)
    reader.join()
    os.close(reading)
    assert bytes(received[:14]) == b"000000\n000001\n"


@pytest.mark.parametrize("target", ["full", "gone"])
def test_lines_that_cannot_be_written_are_told_once(target):
    said: list[str] = []
    if target == "full":
        descriptor = os.open("/dev/full", os.O_WRONLY)
    else:
        reading, descriptor = os.pipe()
        os.close(reading)
    writer = LineWriter(descriptor, said.append)
    for _ in range(100):
        writer.write("line")
    writer.close(WAIT_S)
    os.close(descriptor)
    assert len(said) == 1
    assert "cannot be written, and are lost" in said[0]


def test_standard_streams_are_told_by_name():
    said: list[str] = []
    writer = LineWriter(1, said.append)
    writer._lost("why")
    writer.close(WAIT_S)
    assert said == ["Lines for standard output cannot be written, and are lost: why"]
