"""Connections that are silent do not last, and do not shut out others; those that are slow are served to their end."""

import asyncio
import contextlib
import resource
import socket
import threading

import pytest

from modelport_serving.rest.connections import Timeouts, limit_by_descriptors
from modelport_serving.rest.http_messages import Request, Response
from tests.support.http_connection import HttpConnection, ask, request
from tests.support.http_port import PATIENT, HttpPort
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow  # waits for time-outs

SIZE = 32 * 2**20  # bytes of a large answer: more than the kernel keeps for a client


async def handler(asked: Request) -> Response:
    return Response(200, b"x" * (SIZE if asked.target == "/large" else 1))


def impatient(**seconds: float) -> Timeouts:
    """For one wait only."""
    return Timeouts(**{**vars(PATIENT), **seconds})


def open_count(port: HttpPort) -> int:
    async def count() -> int:
        return len(port.connections)

    return port.call(count())


@pytest.mark.parametrize(
    "data", [b"GET ", b"GET / HTTP/1.1\r\nHost: h\r\n", b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"x" * 5000]
)
def test_half_a_head_is_answered_408(data):
    with HttpPort(handler, impatient(head=0.2)) as port, HttpConnection(port.address) as connection:
        connection.send(data)
        answer = connection.answer()
        assert (answer.status, answer.headers["connection"]) == (408, "close")
        assert connection.is_closed()


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 10\r\n\r\n12345", b"Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n"]
)
def test_half_a_body_is_answered_408(framing):
    with HttpPort(handler, impatient(body=0.2)) as port, HttpConnection(port.address) as connection:
        connection.send(b"POST / HTTP/1.1\r\nHost: h\r\n" + framing)
        assert connection.answer().status == 408
        assert connection.is_closed()


DRIPS = {
    "head": (b"GET / HTTP/1.1\r\nHost: h\r\nX: ", b"x"),
    "headers": (b"GET / HTTP/1.1\r\nHost: h\r\n", b"X: y\r\n"),
    "body": (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n", b"x"),
    "chunks": (b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    "extension": (b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5;", b"x"),
    "trailers": (b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n"),
}


@pytest.mark.parametrize("where", DRIPS)
def test_a_drip_does_not_hold_a_connection_for_ever(where):
    """A byte now and then, which no wait for the next byte would end."""
    begin, drop = DRIPS[where]
    over = threading.Event()
    with HttpPort(handler, impatient(head=0.4, body=0.4)) as port, HttpConnection(port.address) as connection:

        def drip() -> None:
            while not over.wait(0.02):
                try:
                    connection.send(drop)
                except OSError:
                    return

        connection.send(begin)
        dripping = threading.Thread(target=drip)
        dripping.start()
        try:
            assert connection.answer().status == 408
        finally:
            over.set()
            dripping.join()


def test_a_body_that_comes_slowly_is_read_to_its_end():
    """A kilobyte at a time is progress, however long the whole takes."""
    paused = threading.Event()
    with HttpPort(handler, impatient(body=1.0)) as port, HttpConnection(port.address) as connection:
        connection.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 20480\r\n\r\n")
        for _ in range(10):
            paused.wait(0.25)
            connection.send(b"x" * 2048)
        assert connection.answer().status == 200


def test_an_idle_connection_is_closed_without_a_word():
    with HttpPort(handler, impatient(idle=0.2)) as port, HttpConnection(port.address) as connection:
        assert connection.ask("GET", "/").status == 200
        assert connection.is_closed()
        with HttpConnection(port.address) as silent:
            assert silent.is_closed()


@pytest.mark.parametrize("after", ["keep-alive", "close"])
@pytest.mark.parametrize("count", [1, 100])
def test_a_client_that_never_reads_is_given_up(after, count):
    """Its answers stayed in memory until it went; what waits for it goes with the connection."""
    with (
        HttpPort(handler, impatient(read=0.3)) as port,
        HttpConnection(port.address, receive_buffer=4096) as connection,
    ):
        connection.send(request("GET", "/large", headers={"Connection": after}) * count)
        eventually(lambda: open_count(port) == 1, what="the connection")
        eventually(lambda: open_count(port) == 0, what="its end")


@pytest.mark.parametrize("after", ["keep-alive", "close", "half-closed"])
def test_an_answer_is_read_to_its_end_however_slowly(after):
    """The moment that is left to a client behind its last answer cut off what took longer to read."""
    paused = threading.Event()
    with (
        HttpPort(handler, impatient(read=1.0)) as port,
        HttpConnection(port.address, receive_buffer=65536) as connection,
    ):
        connection.send(request("GET", "/large", headers={"Connection": after} if after != "half-closed" else None))
        if after == "half-closed":
            connection.end_sending()
        received = 0
        for _ in range(16):  # four seconds: longer than any wait here may take
            paused.wait(0.25)
            received += len(connection.socket.recv(2**16, socket.MSG_WAITALL))
        while received < SIZE and (piece := connection.socket.recv(2**20)):
            received += len(piece)
        assert received > SIZE


def test_the_longest_silent_connection_makes_room():
    with HttpPort(handler, limit=4) as port:
        first, *others = (HttpConnection(port.address) for _ in range(4))
        for connection in (first, *others):
            connection.send(b"GET / HTTP/1.1\r\n")
        eventually(lambda: open_count(port) == 4)
        assert ask(port.address, "GET", "/").status == 200
        assert first.is_closed()
        for connection in others:
            connection.send(b"Host: h\r\n\r\n")
            assert connection.answer().status == 200
        for connection in (first, *others):
            connection.close()
        assert len(port.lines) == 1
        assert "(--rest_api_max_connections, or what 'ulimit -n' leaves)" in port.lines[0]


def test_where_all_are_busy_one_more_is_told_to_come_again():
    entered = threading.Semaphore(0)
    opened = threading.Event()

    async def busy(asked: Request) -> Response:
        entered.release()
        while not opened.is_set():
            await asyncio.sleep(0.01)
        return Response(200, b"x")

    with HttpPort(busy, limit=2) as port:
        held = [HttpConnection(port.address) for _ in range(2)]
        for connection in held:
            connection.send(request("GET", "/"))
            assert entered.acquire(timeout=10)
        with HttpConnection(port.address) as late:
            answer = late.answer()
            assert (answer.status, answer.headers["retry-after"]) == (503, "1")
            assert "--rest_api_max_connections" in answer.json()["error"]
        opened.set()
        for connection in held:
            assert connection.answer().status == 200
            connection.close()


def test_connections_that_went_are_forgotten():
    with HttpPort(handler, limit=3) as port:
        for _ in range(50):
            with HttpConnection(port.address) as connection:
                assert connection.ask("GET", "/").status == 200
        eventually(lambda: open_count(port) == 0)
        assert not port.lines


def test_the_limit_leaves_descriptors_for_the_other_port():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
        assert limit_by_descriptors() == 96
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_silence_of_all_kinds_ends_at_a_stop():
    with HttpPort(handler) as port:
        host = socket.create_connection(("127.0.0.1", int(port.address.rpartition(":")[2])))
        eventually(lambda: open_count(port) == 1)
    with host:
        host.settimeout(10)
        with contextlib.suppress(ConnectionResetError):
            assert host.recv(1) == b""
