"""gzip bodies by RFC 1952, and within bounds: what inflates to too much is known early and costs little."""

import gzip
import tracemalloc
import zlib

import numpy as np
import pytest

from modelport_serving.rest.bodies import Limits, TooLarge, inflate, is_gzip
from modelport_serving.rest.http_messages import Request

LIMITS = Limits(timeout_s=None, max_body_bytes=8 * 2**20, max_inflate_ratio=100, max_depth=100)
CONTENT = b"".join(b"[%d, 2.0], " % value for value in np.random.default_rng(0).integers(0, 10**6, 30_000))
EMPTY = gzip.compress(b"")


def with_header_fields() -> bytes:
    """A member with a name, a comment, extra bytes and a checksum of its header, all of which are optional."""
    plain = gzip.compress(CONTENT)
    head = plain[:3] + bytes([1 << 1 | 1 << 2 | 1 << 3 | 1 << 4]) + plain[4:10]
    head += b"\x04\x00abcd" + b"name\0" + b"comment\0"
    return head + (zlib.crc32(head) & 0xFFFF).to_bytes(2, "little") + plain[10:]


WHOLE = {
    "one member": gzip.compress(CONTENT),
    "stored": gzip.compress(CONTENT, 0),
    "two members": gzip.compress(CONTENT[:1000]) + gzip.compress(CONTENT[1000:]),
    "a member of each byte": b"".join(gzip.compress(CONTENT[at : at + 1]) for at in range(300))
    + gzip.compress(CONTENT[300:]),
    "an empty member first": EMPTY + gzip.compress(CONTENT),
    "an empty member last": gzip.compress(CONTENT) + EMPTY,
    "padded with zeros": gzip.compress(CONTENT) + bytes(10_000),
    "all header fields": with_header_fields(),
}


@pytest.mark.parametrize("body", WHOLE.values(), ids=WHOLE)
def test_what_gzip_writes_is_read(body):
    """Only the first member was read, as `pigz` and log shippers write several."""
    assert inflate(body, LIMITS) == CONTENT


@pytest.mark.parametrize("cut", [4095, 4096, 4097, 65535, 65536, 65537])
def test_a_member_may_end_anywhere(cut):
    """Noise is stored as it is, so that the first member ends about there."""
    noise = np.random.default_rng(2).bytes(100_000)
    for size in range(cut - 40, cut):
        assert inflate(gzip.compress(noise[:size]) + gzip.compress(noise[size:]), LIMITS) == noise


BROKEN = {
    "no gzip": CONTENT,
    "the magic number only": b"\x1f\x8b",
    "cut off": gzip.compress(CONTENT)[:-1],
    "cut off in the header": gzip.compress(CONTENT)[:5],
    "cut off in the second member": gzip.compress(CONTENT) + gzip.compress(CONTENT)[:-9],
    "another sum": gzip.compress(CONTENT)[:-8] + bytes(4) + gzip.compress(CONTENT)[-4:],
    "another length": gzip.compress(CONTENT)[:-4] + bytes(4),
    "garbage behind": gzip.compress(CONTENT) + b"garbage",
    "garbage behind padding": gzip.compress(CONTENT) + bytes(100) + b"garbage",
    "zeros first": bytes(100) + gzip.compress(CONTENT),
    "zeros between": gzip.compress(CONTENT) + bytes(100) + gzip.compress(CONTENT),
    "zlib's own format": zlib.compress(CONTENT),
    "deflate without a frame": zlib.compress(CONTENT, wbits=-15),
}


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN)
def test_what_cannot_be_inflated_whole_is_as_no_body(body):
    """As in the real server; a part of a body could be another request than the one that was meant."""
    assert inflate(body, LIMITS) == b""


def test_nothing_and_padding_alone_hold_nothing():
    for body in (b"", bytes(1000), EMPTY, EMPTY * 3):
        assert inflate(body, LIMITS) == b""


def test_what_shrinks_a_thousandfold_is_read_up_to_a_mebibyte():
    content = b" " * 2**20
    assert inflate(gzip.compress(content), LIMITS) == content


@pytest.mark.parametrize("members", [1, 4, 400])
@pytest.mark.parametrize("megabytes", [4, 200])
def test_a_bomb_is_refused_early(members, megabytes):
    bomb = gzip.compress(b" " * (megabytes * 2**20 // members)) * members
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge, match="max_inflate_ratio"):
            inflate(bomb, LIMITS)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * 2**20


def test_more_than_a_body_may_be_is_refused():
    noise = np.random.default_rng(3).bytes(9 * 2**20)
    with pytest.raises(TooLarge, match="max_body_bytes"):
        inflate(gzip.compress(noise, 1), LIMITS)
    with pytest.raises(TooLarge, match="max_body_bytes"):
        inflate(b"".join(gzip.compress(noise[at : at + 2**20], 1) for at in range(0, len(noise), 2**20)), LIMITS)


def test_many_members_cost_what_they_are_long():
    """What was left of the body was copied for each member: ten megabytes of empty ones took hours.

    Without a clock: the run ends by the time limit of all tests if it is not linear.
    """
    assert inflate(EMPTY * 250_000 + gzip.compress(CONTENT), LIMITS) == CONTENT


CODINGS = [("gzip", True), ("x-gzip", True), ("identity, gzip", True), ("", False), ("identity", False), ("br", False)]


@pytest.mark.parametrize(("coding", "expected"), CODINGS)
def test_which_bodies_are_inflated(coding, expected):
    headers = {"content-encoding": coding} if coding else {}
    assert is_gzip(Request("POST", "/", headers, b"x")) is expected
    assert not is_gzip(Request("POST", "/", headers, b""))
