"""Long JSON bodies are read by processes of their own, and answered as if they were not."""

import contextlib
import http.client
import json
import os
import signal
import threading
import time

import numpy as np
import psutil
import pytest

from modelport_serving import AUTO, Options, Server

ROWS = 6000  # of three numbers: some hundred kilobytes


def readers_of(process):
    found = []
    for child in process.children():
        with contextlib.suppress(psutil.Error):  # it has ended meanwhile
            if any("parse_worker" in word for word in child.cmdline()):
                found.append(child)
    return found


def wait_for_readers(process, count, timeout=20):
    deadline = time.monotonic() + timeout
    while len(found := readers_of(process)) != count:
        assert time.monotonic() < deadline, f"{len(found)} readers instead of {count}"
        time.sleep(0.05)
    return found


def ask(port, body):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("POST", "/v1/models/matrix:predict", body)
    response = connection.getresponse()
    answered = response.status, response.read()
    connection.close()
    return answered


@pytest.fixture
def options(tmp_path, add_version):
    add_version(tmp_path / "matrix", 1, "matrix")
    return {"model_name": "matrix", "model_base_path": str(tmp_path / "matrix"), "port": AUTO, "rest_api_port": AUTO}


@pytest.fixture
def with_reader(options):
    with Server(Options(**options, rest_api_readers=1)) as server:
        ask(server.rest_port, usual())
        wait_for_readers(psutil.Process(), 1)
        deadline = time.monotonic() + 20
        while not all(reader.is_ready for reader in server._listeners._parse_pool._readers):
            assert time.monotonic() < deadline, "it does not become ready"
            time.sleep(0.05)
        yield server


def usual(value=0.5):
    return json.dumps({"instances": [[value, value + 1, -value]] * ROWS}).encode()


def ragged(rows):
    return json.dumps({"instances": [[0.5, 1.5, 2.5]] * rows + [[0.5]]}).encode()


@pytest.mark.parametrize(
    "body",
    [
        usual(),
        usual(1234567.890123456),
        json.dumps({"inputs": [[1, 2, 3]] * ROWS}).encode(),
        json.dumps({"inputs": {"x": [[1.5, 2.5, 3.5]] * ROWS}, "signature_name": "serving_default"}).encode(),
        json.dumps({"instances": [{"x": [1.5, 2.5, 3.5]}] * ROWS}).encode(),
        json.dumps({"instances": [[1.5, 2.5]] * ROWS}).encode(),
        json.dumps({"instances": [["a", "b", "c"]] * ROWS}).encode(),
        json.dumps({"instances": [[1.5, 2.5, 3.5]] * ROWS, "signature_name": "other"}).encode(),
        ragged(ROWS),
        usual()[:-1],
        b'{"instances": [[' + b"NaN, " * 20000 + b"1, 2]]}",
        b"[" * 100_000,
    ],
    ids=lambda body: f"{body[:24].decode()}…{len(body)}",
)
def test_the_answer_is_the_same_as_without_one(with_reader, options, body):
    with Server(Options(**options, rest_api_readers=0)) as alone:
        expected = ask(alone.rest_port, body)
    assert ask(with_reader.rest_port, body) == expected
    assert len(readers_of(psutil.Process())) == 1


@pytest.mark.slow
def test_killed_under_load_it_costs_no_request(with_reader):
    port, wrong, until = with_reader.rest_port, [], time.monotonic() + 3
    expected = ask(port, usual())

    def keep_asking():
        while time.monotonic() < until:
            if (got := ask(port, usual())) != expected:
                wrong.append(got)

    threads = [threading.Thread(target=keep_asking) for _ in range(4)]
    for thread in threads:
        thread.start()
    killed = set()
    while time.monotonic() < until - 0.5:
        for reader in readers_of(psutil.Process()):
            if reader.pid not in killed and time.time() - reader.create_time() > 0.6:
                killed.add(reader.pid)
                os.kill(reader.pid, signal.SIGKILL)
        time.sleep(0.05)
    for thread in threads:
        thread.join()
    assert len(killed) >= 2  # another came for the first
    assert not wrong


@pytest.mark.slow
def test_one_that_does_not_answer_is_given_up(with_reader):
    (reader,) = readers_of(psutil.Process())
    reader.suspend()
    assert ask(with_reader.rest_port, usual())[0] == 200
    assert not reader.is_running()


def test_none_is_there_before_it_is_needed_or_after_the_end(options):
    before = readers_of(psutil.Process())
    with Server(Options(**options, rest_api_readers=2)) as server:
        assert ask(server.rest_port, json.dumps({"instances": [[1.5, 2.5, 3.5]]}).encode())[0] == 200
        assert readers_of(psutil.Process()) == before
        ask(server.rest_port, usual())
        wait_for_readers(psutil.Process(), len(before) + 1)
    assert readers_of(psutil.Process()) == before


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_they_end_with_their_server(options, serve, how):
    served = serve(
        f"--model_name={options['model_name']}",
        f"--model_base_path={options['model_base_path']}",
        "--port=auto",
        "--rest_api_port=auto",
        "--rest_api_readers=1",
    )
    port = int(served.address("REST").rpartition(":")[2])
    ask(port, usual())
    (reader,) = wait_for_readers(psutil.Process(served.process.pid), 1)
    served.end(how)
    reader.wait(10)
    assert how == signal.SIGKILL or "Traceback" not in served.output


@pytest.mark.slow
def test_large_arrays_come_back_whole(with_reader):
    rng = np.random.default_rng(1)
    for rows in (1, 3000, 300_000, 3000):  # the third is given back to the system afterwards
        values = np.round(rng.random((rows, 3)), 4)
        status, answer = ask(with_reader.rest_port, json.dumps({"instances": values.tolist()}).encode())
        assert status == 200
        got = np.array(json.loads(answer)["predictions"])
        np.testing.assert_allclose(got, values[:, :2], rtol=1e-6)
