"""`modelport serve` and signals: it drains, it ends within its grace whatever hangs, and SIGHUP does not end it."""

import itertools
import json
import signal
import threading
from pathlib import Path

import numpy as np
import psutil
import pytest

from modelport import tensors
from modelport.wire import messages
from modelport_client import Client
from tests.support import models
from tests.support.http_connection import HttpConnection, ask, request
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow  # processes of the server


@pytest.fixture
def slow(tmp_path, add_version):
    return add_version(tmp_path / "slow", 1, "slow").parent


def flags(base, *more):
    return (f"--model_name={base.name}", f"--model_base_path={base}", "--port=auto", "--rest_api_port=auto", *more)


class Spinning:
    """A request that takes some seconds, over each transport; what became of it is in `outcomes`."""

    def __init__(self, process, seconds):
        self.outcomes = {}
        addresses = {kind: process.address(kind) for kind in ("gRPC", "REST")}
        self.threads = [threading.Thread(target=self._ask, args=(*pair, seconds)) for pair in addresses.items()]
        busy = psutil.Process(process.process.pid)
        before = busy.cpu_times().user
        for thread in self.threads:
            thread.start()
        eventually(lambda: busy.cpu_times().user > before + 0.7, what="both being run")

    def _ask(self, kind, address, seconds):
        try:
            with Client(address, timeout=30, retry=False) as client:
                self.outcomes[kind] = client.predict("slow", {"seconds": np.float32(seconds)})["done"].item()
        except Exception as error:
            self.outcomes[kind] = type(error).__name__

    def join(self):
        for thread in self.threads:
            thread.join()
        return self.outcomes


@pytest.mark.parametrize("numbers", [(signal.SIGTERM,), (signal.SIGINT,), (signal.SIGTERM, signal.SIGTERM)])
def test_a_signal_drains(serve, slow, numbers):
    """The requests under way are answered, new ones are refused, the exit code is 0; SIGTERM twice is SIGTERM."""
    process = serve(*flags(slow))
    spinning = Spinning(process, 4.0)
    for number in numbers:
        process.process.send_signal(number)
        process.wait_for_output("Draining")
    for kind in ("gRPC", "REST"):
        with Client(process.address(kind), timeout=2) as late, pytest.raises(ConnectionError):
            late.predict("slow", {"seconds": np.float32(0)})
    assert spinning.join() == {"gRPC": 4.0, "REST": 4.0}
    assert process.end() == 0
    assert process.output.endswith("Stopped.\n")


def test_a_person_who_asks_twice_does_not_wait(serve, slow):
    process = serve(*flags(slow))
    spinning = Spinning(process, 15.0)
    process.process.send_signal(signal.SIGINT)
    process.wait_for_output("Draining")
    assert process.end(signal.SIGINT) == 130
    assert "Stopped" not in process.output
    assert "Traceback" not in process.output
    assert set(spinning.join().values()) == {"Unavailable"}


def test_what_does_not_end_is_given_up_after_the_grace(serve, slow):
    process = serve(*flags(slow, "--grace_seconds=0.5"))
    spinning = Spinning(process, 15.0)
    assert process.end(timeout=10) == 0
    assert "Stopped; what was still under way after the grace is given up." in process.output
    assert set(spinning.join().values()) == {"Unavailable"}


# Loads that hang

START_CPU_S = 5.0  # more than a start takes: a server that has used it is in a loop


class EndlessInit:
    """An operation at loading that never ends."""

    model = "endless_init"

    def spoil(self, version: Path) -> None:
        pass

    def hangs(self, pid: int) -> bool:
        return psutil.Process(pid).cpu_times().user > START_CPU_S


class EndlessWarmUp(EndlessInit):
    """Recorded requests that take for ever."""

    model = "slow"

    def spoil(self, version: Path) -> None:
        asked = messages.PredictRequest(model_spec=messages.ModelSpec(name="slow"))
        asked.inputs.get_or_create("seconds").CopyFrom(tensors.encode(np.float32(20.0)))
        models.write_warmup(version, [asked] * 50)


@pytest.fixture(params=[EndlessInit, EndlessWarmUp])
def hanging(request):
    return request.param()


def add_hanging(hanging, add_version, base: Path, number: int) -> None:
    version = add_version(base.parent / "aside", number, hanging.model)
    hanging.spoil(version)
    base.mkdir(exist_ok=True)
    version.rename(base / str(number))


def test_a_start_that_hangs_ends_within_its_grace(serve, tmp_path, add_version, hanging):
    """Nothing but SIGKILL ended it."""
    add_hanging(hanging, add_version, tmp_path / "m", 1)
    process = serve(*flags(tmp_path / "m", "--grace_seconds=1"))
    eventually(lambda: hanging.hangs(process.process.pid))
    assert process.end(timeout=15) == 0


def test_a_version_that_hangs_ends_with_the_server_within_its_grace(serve, tmp_path, add_version, hanging):
    add_version(tmp_path / "m", 1, "affine-2")
    process = serve(*flags(tmp_path / "m", "--grace_seconds=1"))
    address = process.address("REST")
    add_hanging(hanging, add_version, tmp_path / "m", 2)
    eventually(lambda: hanging.hangs(process.process.pid))
    found = ask(address, "GET", "/v1/models/m").json()["model_version_status"]
    assert {status["version"]: status["state"] for status in found} == {"1": "AVAILABLE", "2": "LOADING"}
    assert ask(address, "POST", "/v1/models/m:predict", b'{"instances": [1.0]}').status == 200
    assert process.end(timeout=15) == 0


def test_a_signal_while_waiting_for_a_model(serve, tmp_path):
    process = serve(f"--model_base_path={tmp_path}/nowhere", "--port=auto")
    text = process.wait_for_output("Could not read base path")
    assert f"Could not read base path {tmp_path}/nowhere of model 'default'. Waiting for it to appear." in text
    assert process.end() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_at_once(serve, slow, number):
    """While Python or TensorFlow are still being loaded."""
    process = serve(*flags(slow))
    eventually(lambda: catches(process.process.pid, signal.SIGHUP))  # the last of them
    assert process.end(number) == 0
    assert "Traceback" not in process.output


def catches(pid: int, number: int) -> bool:
    """Whether a process handles a signal."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("SigCgt"))
    return bool(int(line.split()[1], 16) >> (number - 1) & 1)


# SIGHUP


def test_a_hangup_ends_no_server(serve, slow):
    """Neither while it starts nor when it serves, without an access log."""
    process = serve(*flags(slow))
    eventually(lambda: catches(process.process.pid, signal.SIGHUP))
    for _ in range(5):
        process.process.send_signal(signal.SIGHUP)
    address = process.address("REST")
    for _ in range(5):
        process.process.send_signal(signal.SIGHUP)
        assert ask(address, "GET", "/v1/health/ready").status == 200
    assert process.end() == 0


def test_a_rotation_of_the_access_log_loses_no_line(serve, slow, tmp_path):
    """logrotate renames the file, and sends SIGHUP."""
    log = tmp_path / "access.log"
    process = serve(*flags(slow, f"--access_log={log}"))
    numbers, over, rotated = itertools.count(), threading.Event(), []
    sent: list[str] = []

    def ask_on() -> None:
        with HttpConnection(process.address("REST")) as connection:
            while not over.is_set():
                sent.append(str(next(numbers)))
                connection.send(request("GET", "/v1/models/slow", headers={"X-Request-Id": sent[-1]}))
                assert connection.answer().headers["x-request-id"] == sent[-1]

    asking = threading.Thread(target=ask_on)
    asking.start()
    for number in range(3):
        eventually(lambda: log.exists() and log.stat().st_size > 10_000, what="lines in the new file")
        rotated.append(log.rename(tmp_path / f"access.log.{number}"))
        process.process.send_signal(signal.SIGHUP)
    eventually(lambda: log.exists() and log.stat().st_size > 10_000, what="lines in the last file")
    over.set()
    asking.join()
    assert process.end() == 0
    lines = [json.loads(line)["id"] for path in (*rotated, log) for line in path.read_text().splitlines()]
    assert lines == sent


def test_a_log_that_cannot_be_opened_anew_goes_on_in_the_old_file(serve, slow, tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    process = serve(*flags(slow, f"--access_log={folder / 'access.log'}"))
    address = process.address("REST")
    ask(address, "GET", "/v1/models/slow")
    folder.rename(tmp_path / "moved")
    process.process.send_signal(signal.SIGHUP)
    ask(address, "GET", "/v1/models/slow")
    process.wait_for_output("cannot be opened anew")
    ask(address, "GET", "/v1/models/slow")
    assert process.end() == 0
    assert len((tmp_path / "moved" / "access.log").read_text().splitlines()) == 3
