"""HTTP/1.1 as probes, proxies, old clients and unlucky ones speak it: every request is answered, in order, once."""

import asyncio
import threading

import pytest

from modelport_serving.rest.http_messages import Request, Response
from tests.support.http_connection import HttpConnection, ask, request
from tests.support.http_port import HttpPort


async def echo(asked: Request) -> Response:
    """Says what was asked."""
    return Response(200, f"{asked.method} {asked.target} {len(asked.body)}".encode())


class Gate:
    """A handler whose answers to /slow wait until the test opens it."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.cancelled = threading.Event()
        self._open: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def __call__(self, asked: Request) -> Response:
        if asked.target == "/slow":
            self._loop, self._open = asyncio.get_running_loop(), asyncio.Event()
            self.entered.set()
            try:
                await self._open.wait()
            except asyncio.CancelledError:
                self.cancelled.set()
                raise
        return await echo(asked)

    def open(self) -> None:
        self._loop.call_soon_threadsafe(self._open.set)


@pytest.fixture
def gate():
    return Gate()


@pytest.fixture
def port(gate):
    with HttpPort(gate) as opened:
        yield opened


@pytest.fixture
def connection(port):
    with HttpConnection(port.address) as opened:
        yield opened


HALF_CLOSED = [
    request("GET", "/a"),
    request("POST", "/a", b"12345"),
    request("GET", "/a", version="1.0"),
    request("POST", "/a", b"12345", version="1.0"),
    request("POST", "/a", headers={"Transfer-Encoding": "chunked"}) + b"5\r\n12345\r\n0\r\n\r\n",
]


@pytest.mark.parametrize("data", HALF_CLOSED, ids=["GET", "POST", "GET 1.0", "POST 1.0", "chunked"])
def test_a_client_that_has_closed_its_side_is_answered(connection, data):
    """`nc -N`, socat and HAProxy got no answer."""
    connection.send(data)
    connection.end_sending()
    assert connection.answer().body.endswith(b" /a 5" if b"12345" in data else b" /a 0")
    assert connection.is_closed()


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_client_that_closes_its_side_while_its_request_is_under_way_is_answered(port, gate, version):
    with HttpConnection(port.address) as connection:
        connection.send(request("POST", "/slow", b"1", version=version))
        assert gate.entered.wait(10)
        connection.end_sending()
        assert ask(port.address, "GET", "/b").status == 200  # the end of sending has been read by then
        gate.open()
        assert connection.answer().body == b"POST /slow 1"
        assert connection.is_closed()


def test_a_pipeline_whose_sender_has_closed_its_side_is_answered_whole(connection):
    connection.send(b"".join(request("GET", f"/{number}") for number in range(500)))
    connection.end_sending()
    for number in range(500):
        assert connection.answer().body == b"GET /%d 0" % number
    assert connection.is_closed()


@pytest.mark.parametrize("data", [b"", b"GET /a HT", b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n12"])
def test_half_a_request_and_the_end_is_no_request(connection, data):
    connection.send(data)
    connection.end_sending()
    assert connection.is_closed()


def test_a_client_that_vanishes_takes_its_request_along(port, gate):
    connection = HttpConnection(port.address)
    connection.send(request("GET", "/slow"))
    assert gate.entered.wait(10)
    connection.reset()
    assert gate.cancelled.wait(10)


@pytest.mark.parametrize("spelling", ["keep-alive", "Keep-Alive", "KEEP-ALIVE"])
def test_an_old_client_that_asks_for_it_keeps_its_connection(connection, spelling):
    """`ab -k` hung: it waits for the word, and for the connection to end where the word is missing."""
    for _ in range(3):
        connection.send(request("GET", "/a", headers={"Connection": spelling}, version="1.0"))
        answer = connection.answer()
        assert answer.headers["connection"] == "keep-alive"
    connection.send(request("GET", "/a", version="1.0"))
    assert connection.answer().headers["connection"] == "close"
    assert connection.is_closed()


def test_a_1_1_client_keeps_its_connection_until_it_says_otherwise(connection):
    for _ in range(3):
        assert "connection" not in connection.ask("GET", "/a").headers
    assert connection.ask("GET", "/a", headers={"Connection": "close"}).headers["connection"] == "close"
    assert connection.is_closed()


def test_what_comes_behind_the_last_request_is_not_answered(connection):
    connection.send(request("GET", "/a", headers={"Connection": "close"}) + request("GET", "/b"))
    assert connection.answer().body == b"GET /a 0"
    assert connection.is_closed()


def test_head_is_answered_with_the_length_and_without_the_body(connection):
    head = connection.ask("HEAD", "/abc")
    assert (head.body, head.headers["content-length"]) == (b"", "11")
    assert connection.ask("GET", "/abc").body == b"GET /abc 0", "nothing of a body lies between"


def test_a_slow_request_holds_up_the_pipeline_behind_it_and_no_one_else(port, gate):
    with HttpConnection(port.address) as piped, HttpConnection(port.address) as other:
        piped.send(request("GET", "/slow") + request("GET", "/1") + request("GET", "/2"))
        assert gate.entered.wait(10)
        assert other.ask("GET", "/other").status == 200
        gate.open()
        assert [piped.answer().body for _ in range(3)] == [b"GET /slow 0", b"GET /1 0", b"GET /2 0"]


def test_a_long_pipeline_leaves_others_their_turn():
    """20,000 GETs in 0.9 MB delayed everybody by seconds: a handler that never suspends never yielded."""
    answered, seen = 0, []

    async def count(asked: Request) -> Response:
        nonlocal answered
        if asked.target == "/other":
            seen.append(answered)
        else:
            answered += 1
        return Response(200, b"%d" % answered)

    with HttpPort(count) as port, HttpConnection(port.address) as piped, HttpConnection(port.address) as other:
        sender = threading.Thread(target=piped.send, args=(request("GET", "/p") * 20_000,))
        sender.start()
        for turn in range(1, 20_001):
            assert piped.answer().body == b"%d" % turn
            if turn % 1000 == 0:
                other.ask("GET", "/other")
        sender.join()
    assert len(seen) == 20
    assert seen[0] < 20_000, "all of the pipeline came first"


def test_a_pipeline_that_nobody_reads_is_not_computed_ahead():
    """What waits for a client that does not read is bounded by what its socket takes."""
    answered = 0

    async def large(asked: Request) -> Response:
        nonlocal answered
        answered += asked.target == "/p"
        return Response(200, b"x" * 2**20)

    with HttpPort(large) as port, HttpConnection(port.address, receive_buffer=4096) as piped:
        piped.send(request("GET", "/p") * 500)
        with HttpConnection(port.address) as other:
            for _ in range(50):
                assert len(other.ask("GET", "/other").body) == 2**20
        assert answered < 50
        assert piped.answer().status == 200


def test_a_handler_that_fails_is_answered_for(caplog):
    async def broken(asked: Request) -> Response:
        raise RuntimeError(asked.target)

    with HttpPort(broken) as port, HttpConnection(port.address) as connection:
        assert connection.ask("GET", "/a").status == 500
        assert connection.is_closed()


def test_the_answer_to_a_body_that_is_not_read_is_not_lost(port):
    """A close with something unread resets the connection, and the client lost the 413."""
    for _ in range(20):
        with HttpConnection(port.address) as connection:
            connection.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9999999\r\n\r\n" + b"x" * 200_000)
            assert connection.answer().status == 413


def test_draining_ends_connections_behind_their_answer(port, gate):
    with HttpConnection(port.address) as busy, HttpConnection(port.address) as idle:
        assert idle.ask("GET", "/a").status == 200
        busy.send(request("GET", "/slow"))
        assert gate.entered.wait(10)
        port.loop.call_soon_threadsafe(port.connections.drain)
        answer = idle.ask("GET", "/about-to-be-sent")
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        gate.open()
        answer = busy.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert idle.is_closed()
        assert busy.is_closed()
