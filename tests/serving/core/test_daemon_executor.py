"""Threads that never keep the process alive."""

import subprocess
import sys
import threading
import weakref

import pytest

from modelport_serving.core.daemon_executor import DaemonExecutor
from tests.support.waiting import eventually


def test_work_is_done_and_its_errors_are_its_own():
    executor = DaemonExecutor(1, "t")
    assert executor.submit(divmod, 7, 2).result(10) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        executor.submit(divmod, 1, 0).result(10)
    with pytest.raises(SystemExit):
        executor.submit(sys.exit).result(10)
    assert executor.submit(int, "7").result(10) == 7


def test_as_many_pieces_are_under_way_as_there_are_threads():
    executor = DaemonExecutor(2, "t")
    both, go = threading.Barrier(2), threading.Event()
    held = [executor.submit(lambda: (both.wait(10), go.wait(10))) for _ in range(2)]
    third = executor.submit(go.is_set)
    eventually(lambda: both.n_waiting == 0 and all(future.running() for future in held))
    assert not third.running()
    go.set()
    assert third.result(10) is True, "it began when a thread was free"


def test_no_more_threads_start_than_are_needed():
    executor = DaemonExecutor(8, "few")
    for _ in range(50):
        executor.submit(int).result(10)
    started = [thread for thread in threading.enumerate() if thread.name.startswith("few-")]
    assert 1 <= len(started) < 8


def test_what_was_cancelled_is_not_begun():
    executor = DaemonExecutor(1, "t")
    go, begun = threading.Event(), []
    held = executor.submit(go.wait, 10)
    waits = executor.submit(begun.append, 1)
    assert waits.cancel()
    go.set()
    assert held.result(10)
    executor.submit(int).result(10)
    assert begun == []


def test_what_work_held_is_let_go():
    class Large:
        pass

    executor = DaemonExecutor(1, "t")
    large = Large()
    gone = weakref.ref(large)
    executor.submit(lambda held: None, large).result(10)
    del large
    eventually(lambda: gone() is None)


def test_the_end_is_waited_for_so_long_and_no_longer():
    executor = DaemonExecutor(2, "t")
    go = threading.Event()
    executor.submit(go.wait, 60)
    executor.submit(int).result(10)
    executor.shutdown()
    assert executor.join(0.05) is False
    go.set()
    assert executor.join(10) is True


def test_a_process_ends_though_a_piece_hangs():
    """A load that hung kept a stopped server from ending, because the interpreter joins its pools' threads."""
    code = """
import threading
from modelport_serving.core.daemon_executor import DaemonExecutor
began = threading.Event()
DaemonExecutor(1, "t").submit(lambda: (began.set(), threading.Event().wait()))
began.wait()
"""
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
