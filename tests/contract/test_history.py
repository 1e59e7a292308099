"""The history of a model: one line a change, whatever becomes of its writers."""

import json
import subprocess
import sys
import threading

import pytest

from modelport import history
from modelport.errors import DataLoss, FailedPrecondition
from modelport.history import Entry


def test_a_change_is_a_line_and_is_read_back(tmp_path):
    first = history.append(tmp_path, Entry("publish", 1, 1))
    second = history.append(tmp_path, Entry("label", 2, 1, {"stable": 2}, "stable", "quicker", "proven 12ab"))
    assert history.read(tmp_path) == [first, second]
    assert first.when.endswith("+00:00")
    assert "@" in first.who
    assert [json.loads(line)["schema"] for line in (tmp_path / "history.jsonl").read_text().splitlines()] == [1, 1]


def test_there_may_be_none(tmp_path):
    assert history.read(tmp_path) == []


@pytest.mark.parametrize("cut", [1, 10, 40])
def test_a_torn_last_line_is_no_history_and_is_put_aside(tmp_path, cut):
    whole = history.append(tmp_path, Entry("publish", 1, 1))
    history.append(tmp_path, Entry("publish", 2, 2))
    path = tmp_path / "history.jsonl"
    path.write_bytes(path.read_bytes()[:-cut])
    assert history.read(tmp_path) == [whole]
    after = history.append(tmp_path, Entry("promote", 1, 1))
    assert history.read(tmp_path) == [whole, after]
    assert '"publish"' in (tmp_path / "history.jsonl.torn").read_text()


def test_a_newer_history_is_not_touched(tmp_path):
    path = tmp_path / "history.jsonl"
    path.write_text('{"schema": 2, "action": "beam"}\n')
    for attempt in (lambda: history.read(tmp_path), lambda: history.append(tmp_path, Entry("publish", 1, 1))):
        with pytest.raises(FailedPrecondition, match="newer modelport"):
            attempt()
    assert path.read_text() == '{"schema": 2, "action": "beam"}\n'


@pytest.mark.parametrize("line", ["no json", "[]", '{"schema": 1}', "{}"])
def test_a_line_in_the_middle_that_is_none_is_told_with_its_number(tmp_path, line):
    whole = history.append(tmp_path, Entry("publish", 1, 1)).to_json()
    (tmp_path / "history.jsonl").write_text(f"{whole}\n{line}\n{whole}\n")
    with pytest.raises(DataLoss, match="Line 2"):
        history.read(tmp_path)


def test_many_writers_at_once_lose_nothing(tmp_path):
    def write(writer):
        for number in range(20):
            history.append(tmp_path, Entry("publish", 100 * writer + number, 1))

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({entry.version for entry in history.read(tmp_path)}) == 80


WRITER = """
import sys
from pathlib import Path
from modelport import history
print("ready", flush=True)
for number in range(1, 100000):
    history.append(Path(sys.argv[1]), history.Entry("publish", number, number, why="x" * 500))
"""


def test_a_killed_writer_leaves_whole_lines_only(tmp_path):
    for _ in range(10):
        with subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE) as writer:
            assert writer.stdout.readline()
            while not history.read(tmp_path):
                pass
            writer.kill()
        entries = history.read(tmp_path)
        assert history.append(tmp_path, Entry("promote", 1, 1)) == history.read(tmp_path)[-1]
        assert len(history.read(tmp_path)) == len(entries) + 1
