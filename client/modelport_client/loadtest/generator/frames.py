"""HTTP/2 as far as unary calls of a client need it: frames written and read, nothing of sockets.

Source: RFC 9113. Header blocks are read by the `hpack` package. The peer is told to keep no table of headers, so equal
blocks mean equal headers, and each is read once.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from hpack import Decoder, HPACKError

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 5, 6, 7, 8, 9
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITY = 0x1, 0x1, 0x4, 0x8, 0x20
HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE = 1, 2, 3, 4, 5
NO_ERROR, REFUSED_STREAM, CANCEL, ENHANCE_YOUR_CALM, INADEQUATE_SECURITY = 0, 7, 8, 11, 12
DEFAULT_WINDOW = 65_535  # bytes, of a connection and of a stream, until the peer says otherwise
LARGEST_WINDOW = 2**31 - 1
SMALLEST_FRAME_LIMIT = 16_384  # bytes of a frame that every peer takes, and the most that we do
LAST_STREAM = 2**31 - 1
HEAD = struct.Struct(">HBBBL")  # length in two parts, kind, flags, stream
HEAD_SIZE = HEAD.size

Headers = dict[bytes, bytes]


class Broken(Exception):
    """The peer does not speak HTTP/2 as it should; the connection is of no further use."""


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """One frame."""
    return HEAD.pack(len(payload) >> 8, len(payload) & 0xFF, kind, flags, stream) + payload


def opening() -> bytes:
    """What a client says first: no table of headers, no pushes, and windows in which any answer fits."""
    settings = [(HEADER_TABLE_SIZE, 0), (ENABLE_PUSH, 0), (INITIAL_WINDOW_SIZE, LARGEST_WINDOW)]
    payload = b"".join(struct.pack(">HL", key, value) for key, value in settings)
    return PREFACE + frame(SETTINGS, 0, 0, payload) + window_update(0, LARGEST_WINDOW - DEFAULT_WINDOW)


def window_update(stream: int, more: int) -> bytes:
    """The peer may send that many bytes more."""
    return frame(WINDOW_UPDATE, 0, stream, struct.pack(">L", more))


def reset(stream: int, code: int) -> bytes:
    """A stream is given up."""
    return frame(RST_STREAM, 0, stream, struct.pack(">L", code))


def settings_of(payload: bytes) -> dict[int, int]:
    """What a SETTINGS frame says."""
    if len(payload) % 6:
        raise Broken(f"a SETTINGS frame of {len(payload)} bytes")
    return dict(struct.iter_unpack(">HL", payload))


def without_padding(payload: bytes, flags: int, with_priority: bool) -> bytes:
    """What DATA and HEADERS frames carry."""
    begin, end = 0, len(payload)
    if flags & PADDED:
        if not payload:
            raise Broken("a padded frame without its length")
        begin, end = 1, end - payload[0]
    if with_priority and flags & PRIORITY:
        begin += 5
    if begin > end:
        raise Broken("padding longer than its frame")
    return payload[begin:end]


def block_of(headers: Sequence[tuple[str, str]]) -> bytes:
    """A header block of literals that no table keeps: names and values as they are."""
    block = bytearray()
    for name, value in headers:
        block.append(0)
        for text in (name.encode(), value.encode()):
            block += _integer(len(text)) + text
    return bytes(block)


def _integer(value: int) -> bytes:
    """A length with a prefix of seven bits."""
    if value < 127:
        return bytes([value])
    rest, out = value - 127, bytearray([127])
    while rest >= 128:
        out.append(rest & 127 | 128)
        rest >>= 7
    out.append(rest)
    return bytes(out)


class HeaderReader:
    """Reads header blocks, each by itself: one that refers to another is Broken. Those that were read are remembered.

    The peer was told to keep no table. Not every block says that its sender keeps none, so each is read as if it did.
    """

    _MOST_KNOWN = 1024  # blocks; texts of errors may all differ
    _NO_TABLE = b"\x20"

    def __init__(self) -> None:
        self._known: dict[bytes, Headers] = {}

    def read(self, block: bytes) -> Headers:
        """Name → value."""
        found = self._known.get(block)
        if found is not None:
            return found
        try:
            pairs = Decoder().decode(self._NO_TABLE + block, raw=True)
        except HPACKError as error:
            raise Broken(f"headers that cannot be read ({error})") from error
        headers = {bytes(name): bytes(value) for name, value in pairs}
        if len(self._known) < self._MOST_KNOWN:
            self._known[block] = headers
        return headers
