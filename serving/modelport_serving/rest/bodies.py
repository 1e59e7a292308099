"""Bodies of requests: inflated where they are gzip, within bounds."""

from __future__ import annotations

import mmap
import zlib
from dataclasses import dataclass

from modelport.errors import InvalidArgument
from modelport_serving.rest.http_messages import Request
from modelport_serving.rest.json.content import Content

_PIECE = 2**20  # bytes that may be inflated whatever the ratio: a few rows of zeros shrink a thousandfold
_FIRST = 4096  # bytes of a member that zlib gets first, then twice as many: it copies what lies behind the member
_GZIP = zlib.MAX_WBITS | 16  # of zlib's windowBits: with gzip's header and checksum


@dataclass(frozen=True)
class Limits:
    """Bounds on what one request may ask for."""

    timeout_s: float | None  # of an inference
    max_body_bytes: int  # after inflating
    max_inflate_ratio: int
    max_depth: int  # of JSON


class TooLarge(InvalidArgument):
    """A body over the limits: 413."""


def is_gzip(request: Request) -> bool:
    """Whether the body is to be inflated; the real server looks for the word, in lower case."""
    return bool(request.body) and "gzip" in request.headers.get("content-encoding", "")


def joined(pieces: list[bytes]) -> Content:
    """A long body in one piece of memory, which the pieces are moved to one after the other.

    One call of `bytes.join` holds the interpreter while the system finds the memory: a tenth of a second and more.
    """
    memory = mmap.mmap(-1, sum(map(len, pieces)))
    position = 0
    while pieces:
        piece = pieces.pop(0)
        memory[position : position + len(piece)] = piece
        position += len(piece)
    return memory


def inflate(body: Content, limits: Limits) -> Content:
    """The content of a gzip body, which may have several members (RFC 1952, 2.2).

    Returns:
        The content; empty where it cannot be inflated, as in the real server.

    Raises:
        TooLarge: it inflates to more than the limits allow; that is known a MiB past the limit at the latest.
    """
    pieces: list[bytes] = []
    inflated = at = 0
    end = _end(body)
    try:
        while at < end:
            member, size = zlib.decompressobj(_GZIP), _FIRST
            while not member.eof:
                sent = body[at : at + size]
                size = min(2 * size, _PIECE)
                piece = member.decompress(sent, _PIECE)
                at += len(sent) - len(member.unconsumed_tail) - len(member.unused_data)
                inflated += len(piece)
                if inflated > limits.max_body_bytes or (
                    inflated > _PIECE and inflated / max(at, 1) > limits.max_inflate_ratio
                ):
                    raise _too_large(inflated, len(body), limits)
                if not sent and not piece:
                    return b""  # cut off
                pieces.append(piece)
    except zlib.error:
        return b""
    return b"".join(pieces) if inflated <= _PIECE else joined(pieces)


def _end(body: Content) -> int:
    """Where the zeros begin with which archivers fill up the last block."""
    end = len(body)
    while end:
        begin = max(end - _FIRST, 0)
        kept = body[begin:end].rstrip(b"\0")
        if kept:
            return begin + len(kept)
        end = begin
    return len(body)


def _too_large(inflated: int, sent: int, limits: Limits) -> TooLarge:
    return TooLarge(
        f"Expected a gzip body that inflates to at most {limits.max_body_bytes} bytes (--rest_api_max_body_bytes) and, "
        f"beyond {_PIECE} bytes, to at most {limits.max_inflate_ratio} times its size (--rest_api_max_inflate_ratio). "
        f"Received: {sent} bytes, of which a part inflates to {inflated} already"
    )
