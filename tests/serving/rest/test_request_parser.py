"""Bytes → requests, by RFC 9110 and 9112: what is read, and what is refused because two readers could differ on it."""

import tracemalloc

import pytest

from modelport_serving.rest.http_messages import Request, Response
from modelport_serving.rest.request_parser import MAX_HEADER_BYTES, PIECE, RequestParser
from tests.support.http_connection import request

LIMIT = 100_000


class Reader:
    """A parser, and what came out of it."""

    def __init__(self, max_body_bytes: int = LIMIT) -> None:
        self.items: list[Request | Response] = []
        self.leaves = 0  # to send a body
        self.parser = RequestParser(self.items.append, self._go_on, "peer", max_body_bytes)

    def _go_on(self) -> None:
        self.leaves += 1

    def feed(self, data: bytes, size: int = PIECE) -> "Reader":
        left = memoryview(data)
        while left and not self.parser.refused:
            piece, left = left[:size], left[size:]
            while piece is not None:
                piece = self.parser.feed(piece)
        return self

    @property
    def statuses(self) -> list[int]:
        return [item.status for item in self.items if isinstance(item, Response)]


def read(data: bytes, size: int = PIECE) -> Request:
    """The one request that the bytes are."""
    (item,) = Reader().feed(data, size).items
    assert isinstance(item, Request), item
    return item


def refused(data: bytes) -> int:
    """The status of the one answer that the bytes get."""
    reader = Reader().feed(data)
    (status,) = reader.statuses
    assert len(reader.items) == 1
    assert reader.parser.refused
    return status


def chunked(*chunks: bytes, trailers: bytes = b"") -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n" + trailers + b"\r\n"


POST = b"POST /t HTTP/1.1\r\nHost: h\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("size", [1, 3, 50, 4096])
def test_pieces_of_any_size_are_the_same_request(size):
    asked = read(request("POST", "/v1/models/m:predict?x=%20", b"12345" * 2000, {"X-A": "b"}), size)
    assert (asked.method, asked.target, asked.body) == ("POST", "/v1/models/m:predict?x=%20", b"12345" * 2000)
    assert asked.headers == {"host": "h", "x-a": "b", "content-length": "10000"}
    assert (asked.peer, asked.keep_alive, asked.is_1_0) == ("peer", True, False)


@pytest.mark.parametrize("size", [1, 4096])
def test_chunks_are_joined(size):
    asked = read(CHUNKED + chunked(b"abc", b"d" * 5000, b"e"), size)
    assert asked.body == b"abc" + b"d" * 5000 + b"e"


def test_chunk_extensions_are_passed_over():
    assert read(CHUNKED + b'3;a=b;c="d"\r\nabc\r\n0;last\r\n\r\n').body == b"abc"


@pytest.mark.parametrize("trailer", [b"Content-Encoding: gzip", b"X-Request-Id: stolen", b"Host: other", b"Expect: x"])
def test_trailers_are_not_headers(trailer):
    """A body was inflated because of a trailer behind it."""
    asked = read(CHUNKED + chunked(b"abc", trailers=trailer + b"\r\n"))
    assert asked.headers == {"host": "h", "transfer-encoding": "chunked"}
    assert asked.body == b"abc"


def test_trailers_do_not_reach_the_next_request():
    reader = Reader().feed(CHUNKED + chunked(b"a", trailers=b"X-A: b\r\n") + request("GET", "/next"))
    assert [item.headers.get("x-a") for item in reader.items] == [None, None]


def test_values_of_a_header_that_comes_twice_are_joined():
    """RFC 9110, 5.3: `Content-Encoding` in two lines is a list; the last one won."""
    asked = read(b"GET /t HTTP/1.1\r\nHost: h\r\nX-A: 1\r\nx-a: 2\r\nX-A: 3\r\nAccept:\r\n\r\n")
    assert asked.headers == {"host": "h", "x-a": "1, 2, 3", "accept": ""}


AMBIGUOUS = {
    "two hosts": b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "the same host twice": b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two lengths": POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "a list of lengths": POST + b"Content-Length: 3, 4\r\n\r\nabcd",
    "a length with a sign": POST + b"Content-Length: +3\r\n\r\nabc",
    "a length in hexadecimal": POST + b"Content-Length: 0x3\r\n\r\nabc",
    "a length below zero": POST + b"Content-Length: -3\r\n\r\nabc",
    "a length of Arabic digits": POST + "Content-Length: ٣\r\n\r\nabc".encode(),
    "an endless length": POST + b"Content-Length: " + b"9" * 40 + b"\r\n\r\nabc",
    "length and chunks": POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"abc"),
    "chunks and length": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n" + chunked(b"abc"),
    "chunks that are not last": POST + b"Transfer-Encoding: chunked, gzip\r\n\r\n" + chunked(b"abc"),
    "an unknown coding": POST + b"Transfer-Encoding: xchunked\r\n\r\n" + chunked(b"abc"),
    "space before the colon": POST + b"Content-Length : 3\r\n\r\nabc",
    "a folded line": POST + b"X-A: b\r\n c\r\n\r\n",
    "a folded length": POST + b"Content-Length:\r\n 3\r\n\r\nabc",
    "a fold at once": b"GET / HTTP/1.1\r\n Host: h\r\n\r\n",
    "an empty name": b"GET / HTTP/1.1\r\nHost: h\r\n: b\r\n\r\n",
    "a NUL in a value": b"GET / HTTP/1.1\r\nHost: h\r\nX-A: a\0b\r\n\r\n",
    "a bare CR": b"GET / HTTP/1.1\r\nHost: h\r\nX-A: a\rX-B: b\r\n\r\n",
    "a chunk size with a sign": CHUNKED + b"+3\r\nabc\r\n0\r\n\r\n",
    "a chunk size with 0x": CHUNKED + b"0x3\r\nabc\r\n0\r\n\r\n",
    "an endless chunk size": CHUNKED + b"f" * 17 + b"\r\nabc",
    "a chunk longer than it says": CHUNKED + b"3\r\nabcd\r\n0\r\n\r\n",
    "an unknown version": b"GET / HTTP/7.7\r\nHost: h\r\n\r\n",
    "a length behind the body": CHUNKED + chunked(b"abc", trailers=b"Content-Length: 3\r\n"),
    "bytes in the target": b"GET /\xff\xfe HTTP/1.1\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 100,
}


@pytest.mark.parametrize("data", AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_what_could_be_read_in_two_ways_is_refused(data):
    """A proxy in front that reads it in the other way would take a part of one request for another one."""
    assert refused(data) in (400, 501)


def test_a_1_0_client_needs_no_host():
    asked = read(b"GET /t HTTP/1.0\r\n\r\n")
    assert (asked.is_1_0, asked.keep_alive) == (True, False)


def test_a_client_from_before_versions_is_read_and_left():
    assert not read(b"GET /t\r\n\r\n").keep_alive


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
@pytest.mark.parametrize("word", [b"close", b"Close", b"x, close"])
def test_close_is_understood(version, word):
    assert not read(b"GET /t HTTP/%b\r\nHost: h\r\nConnection: %b\r\n\r\n" % (version, word)).keep_alive


@pytest.mark.parametrize("target", ["http://h/v1/models/m", "https://h:8501/v1/models/m", "http://[::1]:1/v1/models/m"])
def test_the_absolute_form_is_read(target):
    assert read(request("GET", target)).target == target


def test_a_method_that_is_none_is_not_implemented():
    assert refused(b"FROB / HTTP/1.1\r\nHost: h\r\n\r\n") == 501
    assert refused(b"CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n") == 501


def test_empty_lines_before_a_request_are_passed_over():
    """RFC 9112, 2.2: old clients send one behind a body."""
    reader = Reader().feed(request("POST", "/a", b"x") + b"\r\n" + request("GET", "/b"))
    assert [item.target for item in reader.items] == ["/a", "/b"]


# Leave to send a body


def test_leave_to_send_a_body_is_given_once():
    reader = Reader().feed(POST + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\n")
    assert (reader.leaves, reader.items) == (1, [])
    assert reader.feed(b"abc").items[0].body == b"abc"
    assert reader.leaves == 1


def test_a_1_0_client_is_not_told_to_go_on():
    """RFC 9110, 10.1.1: it would take the line for its answer."""
    reader = Reader().feed(b"POST /t HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc")
    assert (reader.leaves, reader.items[0].body) == (0, b"abc")


def test_no_leave_is_given_for_what_is_too_long():
    reader = Reader().feed(POST + b"Expect: 100-continue\r\nContent-Length: 100001\r\n\r\n")
    assert (reader.leaves, reader.statuses) == (0, [413])


# Offers of another protocol

OFFER = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"


@pytest.mark.parametrize("size", [1, 30, 4096])
@pytest.mark.parametrize("framing", [b"Content-Length: 5000\r\n\r\n" + b"x" * 5000, None], ids=["length", "chunks"])
def test_an_offer_of_another_protocol_is_passed_over(framing, size):
    """Java's HTTP client sends one with every first request; its body was lost."""
    body = framing or b"Transfer-Encoding: chunked\r\n\r\n" + chunked(b"x" * 5000)
    reader = Reader().feed(POST + OFFER + body + request("GET", "/next"), size)
    first, second = reader.items
    assert (first.method, first.target, first.body, first.keep_alive) == ("POST", "/t", b"x" * 5000, True)
    assert second.target == "/next"


def test_an_offer_with_leave_to_ask_for_gets_one():
    reader = Reader().feed(POST + OFFER + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\n")
    assert reader.leaves == 1
    assert reader.feed(b"abc").items[0].body == b"abc"
    assert reader.leaves == 1


def test_what_else_the_connection_header_says_of_an_offer_is_kept():
    data = b"GET /t HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n\r\n"
    assert not read(data).keep_alive


def test_an_offer_by_an_old_client_is_passed_over():
    """RFC 9110, 7.8: an Upgrade in HTTP/1.0 is ignored; the request stays one of HTTP/1.0, which needs no Host."""
    asked = read(b"POST /t HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 3\r\n\r\nabc")
    assert (asked.is_1_0, asked.keep_alive, asked.body) == (True, False, b"abc")


def test_an_offer_without_a_host_is_refused():
    assert refused(b"GET /t HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n") == 400


def test_http2_without_an_offer_is_refused():
    assert refused(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") in (400, 501, 505)


# Bounds


@pytest.mark.parametrize(
    "data",
    [
        b"GET /" + b"a" * MAX_HEADER_BYTES + b" HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET / HTTP/1.1\r\nX-A: " + b"a" * MAX_HEADER_BYTES + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X-A: a\r\n" * 20_000 + b"\r\n",
        b"GET / HTTP/1.1\r\n" + b"a" * 2**20,
        CHUNKED + chunked(b"a", trailers=b"X-A: " + b"a" * MAX_HEADER_BYTES + b"\r\n"),
        CHUNKED + chunked(b"a", trailers=b"X-A: a\r\n" * 20_000),
    ],
    ids=["target", "value", "headers", "no end", "trailer", "trailers"],
)
def test_a_long_head_is_refused(data):
    assert refused(data) == 431


@pytest.mark.parametrize("begin", [b"0\r\nX-A: ", b"0\r\n", b"1;"], ids=["trailer", "name", "extension"])
def test_what_never_ends_behind_a_head_is_not_kept(begin):
    """The parser tells of a trailer when it has all of it: one without an end filled the memory."""
    reader = Reader().feed(CHUNKED + begin)
    tracemalloc.start()
    try:
        for _ in range(500):
            reader.feed(b"a" * PIECE)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert reader.statuses == [431]
    assert peak < 2**20


def test_a_long_body_is_refused_before_it_is_read():
    assert refused(POST + b"Content-Length: 100001\r\n\r\n") == 413
    assert refused(CHUNKED + b"%x\r\n" % (LIMIT + 1) + b"a" * (LIMIT + 1)) == 413
    assert refused(CHUNKED + chunked(*[b"a" * 1000] * 101)) == 413
    assert len(read(POST + b"Content-Length: 100000\r\n\r\n" + b"a" * LIMIT).body) == LIMIT


def test_many_small_chunks_cost_no_more_than_they_hold():
    reader = Reader(max_body_bytes=2**20)
    tracemalloc.start()
    try:
        reader.feed(CHUNKED + b"1\r\na\r\n" * 200_000)
        current, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert current < 4 * 2**20
    assert len(reader.feed(b"0\r\n\r\n").items[0].body) == 200_000


def test_nothing_is_read_behind_a_refusal():
    reader = Reader().feed(b"GET / HTTP/1.1\r\n\r\n" + request("GET", "/a"))
    assert reader.statuses == [400]
    assert len(reader.items) == 1
