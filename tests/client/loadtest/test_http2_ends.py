"""How connections end that a server ends in its own way: with GOAWAY, a reset stream, in the middle, with nonsense."""

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator

import pytest

from modelport_client.loadtest.generator import frames
from tests.client.loadtest.conftest import open_plan

HELLO = frames.frame(frames.SETTINGS, 0, 0, b"") + frames.frame(frames.SETTINGS, frames.ACK, 0, b"")


@pytest.fixture
def ending() -> Iterator[Callable[[bytes], str]]:
    """A server that greets, waits for the first requests, says some bytes and closes; again for each connection."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve(said: bytes) -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                connection.recv(65_536)
                connection.sendall(HELLO)
                connection.settimeout(5)
                while (came := connection.recv(65_536)) and b"application/grpc" not in came:
                    continue
                connection.sendall(said)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65_536):
                    continue

    threads = []

    def start(said: bytes) -> str:
        threads.append(threading.Thread(target=serve, args=(said,), daemon=True))
        threads[-1].start()
        return "{}:{}".format(*listening.getsockname())

    yield start
    listening.shutdown(socket.SHUT_RDWR)  # wakes who accepts
    listening.close()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


@pytest.mark.parametrize(
    ("said", "code", "words"),
    [
        (b"", "UNAVAILABLE", "the server closed the connection"),
        (frames.frame(frames.GOAWAY, 0, 0, struct.pack(">LL", 0, 0) + b"drained"), "UNAVAILABLE", "goes away: drained"),
        (frames.reset(1, frames.REFUSED_STREAM), "UNAVAILABLE", "gave the call up (HTTP/2 error 7)"),
        (frames.reset(1, frames.ENHANCE_YOUR_CALM), "RESOURCE_EXHAUSTED", "gave the call up (HTTP/2 error 11)"),
        (frames.frame(frames.HEADERS, 4, 1, b"\xbe"), "UNAVAILABLE", "headers that cannot be read"),
        (frames.frame(frames.HEADERS, 5, 1, b"\x8d"), "UNIMPLEMENTED", "HTTP status 404"),
        (frames.frame(frames.DATA, 1, 1, b"\0\0\0\0\0"), "INTERNAL", "no trailers"),
        (frames.frame(frames.HEADERS, 0, 1, b"") + frames.frame(frames.DATA, 0, 1, b""), "UNAVAILABLE", "do not go on"),
        (b"\xff" * 64, "UNAVAILABLE", "which nobody allowed"),
    ],
    ids=["close", "goaway", "refused", "calm", "table", "http", "no trailers", "half headers", "nonsense"],
)
def test_every_call_ends_with_its_reason(run, ending, said, code, words):
    result = run(open_plan(ending(said), 20, 0.3, timeout_s=3, arrivals="steady"))
    assert result.requests == result.failed == 6
    assert any(error.code == code and words in error.message for error in result.errors), result.errors


def test_pings_are_answered_and_padding_is_left_out(run, ending):
    """An answer as an odd server frames it: with a ping, in pieces, padded, its trailers in two frames."""
    message = bytes([0x12, 4, 0x12, 2, 0x08, 9])  # a model_spec with version 9
    body = struct.pack(">BL", 0, len(message)) + message
    trailers = frames.block_of([("grpc-status", "0")])
    said = frames.frame(frames.PING, 0, 0, b"12345678")
    said += frames.frame(frames.HEADERS, frames.END_HEADERS, 1, b"\x88")
    said += frames.frame(frames.DATA, frames.PADDED, 1, b"\x03" + body[:4] + b"\0\0\0")
    said += frames.frame(frames.DATA, 0, 1, body[4:])
    said += frames.frame(frames.HEADERS, frames.END_STREAM, 1, trailers[:5])
    said += frames.frame(frames.CONTINUATION, frames.END_HEADERS, 1, trailers[5:])
    result = run(open_plan(ending(said), 5, 0.2, timeout_s=3, arrivals="steady"))
    assert result.answered_by == {9: 1}
