"""Calls carried over a server that goes and comes back, and spread over several; real servers on real ports."""

import collections
import socket
import threading

import numpy as np
import pytest

from modelport.errors import DeadlineExceeded, ModelportError, Unavailable
from modelport_client import Client
from tests.support.blocking import Blocking

X = {"x": np.zeros(1, np.float32)}


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@pytest.fixture
def start(serve, add_version, tmp_path):
    """Start a server of the model `m`, whose newest version tells servers apart, on given ports."""

    def run(version, *flags):
        base = tmp_path / f"m-{version}"
        if not base.exists():
            add_version(base, version, "affine-2")
        process = serve("--model_name=m", f"--model_base_path={base}", *flags)
        process.wait_for_output("Stop with Ctrl-C.")
        return process

    return run


@pytest.mark.parametrize(
    ("kind", "surface"), [("gRPC", Client), ("REST", Client), ("gRPC", Blocking), ("REST", Blocking)]
)
@pytest.mark.slow
def test_a_killed_server_that_comes_back_costs_no_request(start, kind, surface):
    grpc_port, rest_port = free_ports(2)
    flags = (f"--port={grpc_port}", f"--rest_api_port={rest_port}")
    process = start(1, *flags)
    target = f"127.0.0.1:{grpc_port}" if kind == "gRPC" else f"http://127.0.0.1:{rest_port}"
    answers, errors, ending = [], [], threading.Event()

    def ask():
        with surface(target, timeout=60) as client:
            while not ending.wait(0.01):
                try:
                    answers.append(client.predict("m", X)["y"].item())
                except ModelportError as error:
                    errors.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    while not answers:
        thread.join(0.05)
    process.process.kill()
    process.process.wait(10)
    before = len(answers)
    start(1, *flags)
    while len(answers) < before + 5 and thread.is_alive() and not errors:
        thread.join(0.05)
    ending.set()
    thread.join(30)
    assert not errors
    assert len(answers) >= before + 5


def test_asked_once_only(start):
    process = start(1, "--port=auto")
    with Client(process.address("gRPC"), timeout=60, retry=False) as client:
        client.predict("m", X)
        process.process.kill()
        process.process.wait(10)
        with pytest.raises(Unavailable):
            client.predict("m", X)


def test_the_deadline_ends_the_waiting_with_the_reason(start):
    process = start(1, "--port=auto")
    with Client(process.address("gRPC"), timeout=60) as client:
        client.predict("m", X)
        process.process.kill()
        process.process.wait(10)
        with pytest.raises(Unavailable, match="No server answers"):
            client.predict("m", X, timeout=0.5)


def test_a_call_without_time_left_is_a_deadline(start):
    process = start(1, "--port=auto", "--rest_api_port=auto")
    for kind in ("gRPC", "REST"):
        with Client(process.address(kind), timeout=60) as client, pytest.raises(DeadlineExceeded):
            client.predict("m", X, timeout=1e-9)


def test_closing_ends_the_waiting(start):
    process = start(1, "--port=auto")
    client = Client(process.address("gRPC"), timeout=1000)
    client.predict("m", X)
    process.process.kill()
    process.process.wait(10)
    caught = []

    def ask():
        try:
            client.predict("m", X)
        except ModelportError as error:
            caught.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(0.5)
    assert thread.is_alive()
    client.close()
    thread.join(30)
    assert [type(error) for error in caught] == [Unavailable]


@pytest.mark.slow
def test_calls_go_round_and_survive_the_loss_of_a_server(start):
    ports = free_ports(3)
    processes = [start(number, f"--port={port}") for number, port in enumerate(ports, 1)]
    with Client("ipv4:" + ",".join(f"127.0.0.1:{port}" for port in ports), timeout=60) as client:
        seen = collections.Counter()
        while len(seen) < 3:  # the connections come up one after the other
            seen[client.predict("m", X).version] += 1
        round_of = collections.Counter(client.predict("m", X).version for _ in range(30))
        assert round_of == {1: 10, 2: 10, 3: 10}
        processes[1].process.kill()
        processes[1].process.wait(10)
        left = collections.Counter(client.predict("m", X).version for _ in range(30))
        assert set(left) == {1, 3}
