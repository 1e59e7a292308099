"""The server that a version is proven in: a process of its own, that is gone afterwards whatever happens."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import keras
import psutil
import pytest

from modelport.errors import FailedPrecondition
from modelport_export import calling
from modelport_export.proof.validation_server import validation_server
from modelport_export.servable import Generic
from modelport_export.workspaces import kept_folder


def linear():
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])


def test_the_server_is_ended_when_the_proof_fails(write):
    model = linear()
    folder = write(Generic(model, calling.describe(model)))
    with pytest.raises(RuntimeError), validation_server(folder, "m") as server:
        process = server.pid
        raise RuntimeError
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_a_folder_that_is_no_version_is_told_with_what_the_server_printed(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"\xff\xff")
    with pytest.raises(FailedPrecondition, match="to load in a server of its own"), validation_server(tmp_path, "m"):
        pass


KILLED = """
import os, signal, sys
from pathlib import Path
from modelport_export.proof.validation_server import validation_server
with validation_server(Path(sys.argv[1]), "m") as server:
    print(server.pid, flush=True)
    signal.pause()
"""


def test_a_publisher_that_is_killed_takes_its_server_and_its_folder_with_it(write):
    """A server of 520 MB stayed behind."""
    model = linear()
    folder = write(Generic(model, calling.describe(model)))
    temporary = Path(tempfile.mkdtemp(prefix="mp-"))  # short, as a socket has to be
    publisher = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(folder)],
        stdout=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(temporary)},
        text=True,
    )
    with publisher:
        server = psutil.Process(int(publisher.stdout.readline()))
        assert list(temporary.iterdir())
        publisher.kill()
    server.wait(20)
    deadline = time.monotonic() + 20
    while list(temporary.iterdir()):
        assert time.monotonic() < deadline, "the folder is still there"
        time.sleep(0.02)
    temporary.rmdir()


def test_a_forked_child_does_not_hold_up_the_end():
    """Whoever waited for the end of the keeper's input waited for all children that have it, too."""
    with kept_folder() as (folder, _):
        child = os.fork()
        if not child:
            time.sleep(30)
            os._exit(0)
        begin = time.monotonic()
    assert time.monotonic() - begin < 20
    assert not folder.exists()
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def test_a_keeper_that_is_killed_is_not_missed():
    with kept_folder() as (folder, keeper):
        keeper._process.kill()
        keeper._process.wait()
        keeper.hold(1)
        keeper.release(1)
    assert not folder.exists()
