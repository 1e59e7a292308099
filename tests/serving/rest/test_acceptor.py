"""The listening socket of the REST port outlives a lack of descriptors, and loses nobody at its end."""

import os
import resource
import socket
import threading

import pytest

from modelport_serving.rest.http_messages import Request, Response
from tests.support.http_connection import HttpConnection, ask, request
from tests.support.http_port import HttpPort
from tests.support.waiting import eventually


async def handler(asked: Request) -> Response:
    return Response(200, asked.target.encode())


@pytest.fixture
def no_descriptor():
    """While it is called, none can be had; what is open stays open."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)

    def allow(count: int) -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, before[1]))

    yield lambda: allow(1), lambda: allow(before[0])
    allow(before[0])


def test_a_port_that_found_no_descriptor_goes_on(no_descriptor):
    """The event loop's own server closed its socket for good, and without a word."""
    take_all, give_back = no_descriptor
    with HttpPort(handler) as port:
        clients = [socket.socket() for _ in range(5)]
        take_all()
        for client in clients:
            client.connect(("127.0.0.1", int(port.address.rpartition(":")[2])))
            client.sendall(request("GET", "/a"))
        eventually(lambda: port.lines, what="a line about it")
        give_back()
        for client in clients:
            client.settimeout(10)
            assert client.recv(100).startswith(b"HTTP/1.1 200 OK")
            client.close()
        assert port.lines == [f"No REST connection can be taken ({os.strerror(24)}): more have to wait."]
        assert ask(port.address, "GET", "/b").status == 200


def test_a_silent_connection_gives_its_descriptor(no_descriptor):
    take_all, give_back = no_descriptor
    with HttpPort(handler) as port, HttpConnection(port.address) as silent, socket.socket() as client:
        assert silent.ask("GET", "/a").status == 200
        take_all()
        client.connect(("127.0.0.1", int(port.address.rpartition(":")[2])))
        assert silent.is_closed()
        give_back()
        client.sendall(request("GET", "/a"))
        client.settimeout(10)
        assert client.recv(100).startswith(b"HTTP/1.1 200 OK")
        assert "the longest silent ones are closed" in port.lines[0]


def test_what_waits_to_be_taken_at_the_end_is_answered():
    """A close of the socket resets the connections that the kernel holds for it."""
    held, going_on = threading.Event(), threading.Event()

    def hold() -> None:
        held.set()
        going_on.wait(20)
        port.acceptor.close()

    with HttpPort(handler) as port:
        port.loop.call_soon_threadsafe(hold)
        assert held.wait(10)
        clients = [HttpConnection(port.address) for _ in range(100)]
        for client in clients:
            client.send(request("GET", "/a"))
        going_on.set()
        for client in clients:
            assert client.answer().body == b"/a"
            client.close()
        with pytest.raises(ConnectionRefusedError):
            HttpConnection(port.address)


def test_a_client_that_goes_before_it_is_taken_does_no_harm():
    held, going_on = threading.Event(), threading.Event()
    with HttpPort(handler) as port:
        port.loop.call_soon_threadsafe(lambda: (held.set(), going_on.wait(20)))
        assert held.wait(10)
        for _ in range(20):
            HttpConnection(port.address).reset()
        going_on.set()
        assert ask(port.address, "GET", "/a").status == 200
