"""A deadline ends a call whatever it is at, as DeadlineExceeded; `Unavailable after 7 s` is what users saw."""

import contextlib
import socket
import threading
import time

import numpy as np
import pytest

from modelport.errors import DeadlineExceeded
from modelport_client import Client


def ends_in_time(client, inputs, timeout, **arguments) -> None:
    with pytest.raises(DeadlineExceeded, match=f"within {timeout:g} s"):
        client.predict("affine", inputs, timeout=timeout, **arguments)


@pytest.mark.parametrize("shape", [(10**10,), (1, 10**10), (10**10, 1)])
def test_encoding(server, shape):
    """The numbers of one REST request took 8 s to write; these would take two hours, and have no room in memory."""
    with Client(server.rest_address, timeout=30) as client:
        client.predict("affine", [1.0])
        ends_in_time(client, {"x": np.broadcast_to(np.float32(0.1), shape)}, 0.05)


def test_encoding_strings(server):
    with Client(server.rest_address, timeout=30) as client:
        strings = np.full(3_000_000, b"\xff" * 20, object)
        ends_in_time(client, {"s": strings}, 0.5, signature="text")


def test_a_large_request_over_either(client):
    ends_in_time(client, {"x": np.zeros(30_000_000)}, 0.02)


@pytest.fixture
def listener():
    """A server that accepts and does what `act(connection)` does."""
    sockets = []

    def start(act) -> str:
        listening = socket.create_server(("127.0.0.1", 0))
        sockets.append(listening)

        def accept() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                sockets.append(connection)
                threading.Thread(target=act, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        return f"127.0.0.1:{listening.getsockname()[1]}"

    yield start
    for one in sockets:
        one.close()


def drip(pieces):
    """Answer each request with pieces of which each comes before any time-out that counts from the last one."""

    def act(connection):
        try:
            while connection.recv(65536):
                for piece in pieces:
                    connection.sendall(piece)
                    time.sleep(0.02)  # what it is about: each piece soon after the last
        except OSError:
            pass

    return act


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"


@pytest.mark.parametrize(
    "pieces",
    [
        [HEAD, *[b" "] * 100_000],
        [b"HTTP/1.1 200 OK\r\nX-Slow: ", *[b"1"] * 60_000],
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", *[b"1\r\n \r\n"] * 100_000],
        [b"HTTP/1.1 100 Continue\r\n\r\n"] * 100_000,
    ],
    ids=["body", "header", "chunks", "continue"],
)
def test_an_answer_that_drips(listener, pieces):
    """Time-outs of sockets count anew with each piece: a call of 0.5 s took as long as the server liked."""
    with Client(f"http://{listener(drip(pieces))}", timeout=30) as client:
        ends_in_time(client, {"x": [1.0]}, 0.5)


def test_an_answer_that_drips_from_behind_a_proxy(server, fronts):
    def respond(front):
        if not front.path.endswith(":predict"):
            fronts.respond_unversioned(front)
            return
        front.wfile.write(HEAD)
        with contextlib.suppress(OSError):
            while True:
                front.wfile.write(b" ")
                time.sleep(0.02)

    with Client(fronts.start(server.rest_address, respond), timeout=30) as client:
        ends_in_time(client, {"x": [1.0]}, 0.5)


@pytest.mark.parametrize("scheme", ["", "http://"])
def test_a_server_that_accepts_and_is_silent(listener, scheme):
    with Client(scheme + listener(lambda connection: None), timeout=30) as client:
        ends_in_time(client, {"x": np.zeros(3, np.float32)}, 0.5)


def test_a_request_that_nobody_reads(server, fronts):
    """Sending ended as Unavailable."""
    release = threading.Event()

    def respond(front):
        if front.command == "POST":
            release.wait(30)
        else:
            fronts.respond_unversioned(front)

    with Client(fronts.start(server.rest_address, respond), timeout=30) as client:
        ends_in_time(client, {"s": [b"x" * 50_000_000]}, 2.0, signature="text")
    release.set()
