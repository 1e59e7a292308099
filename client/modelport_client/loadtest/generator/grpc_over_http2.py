"""What gRPC makes of HTTP/2: a request's frames, and how statuses, resets and trailers say that a call ended.

Source: PROTOCOL-HTTP2.md and http-grpc-status-mapping.md of gRPC.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from urllib.parse import unquote

from modelport.errors import Code
from modelport_client.loadtest.generator import frames
from modelport_client.loadtest.generator.endings import Ending, answered, refused
from modelport_client.loadtest.generator.frames import Headers

_CODES_OF_RESETS = {
    frames.REFUSED_STREAM: Code.UNAVAILABLE,
    frames.CANCEL: Code.UNAVAILABLE,  # we cancelled nothing: what a server does with calls that meet its end
    frames.ENHANCE_YOUR_CALM: Code.RESOURCE_EXHAUSTED,
    frames.INADEQUATE_SECURITY: Code.PERMISSION_DENIED,
}
# Source: http-grpc-status-mapping.md of gRPC, for answers of what is no gRPC server.
_CODES_OF_HTTP = {
    b"400": Code.INTERNAL,
    b"401": Code.UNAUTHENTICATED,
    b"403": Code.PERMISSION_DENIED,
    b"404": Code.UNIMPLEMENTED,
    b"429": Code.UNAVAILABLE,
    b"502": Code.UNAVAILABLE,
    b"503": Code.UNAVAILABLE,
    b"504": Code.UNAVAILABLE,
}


class Request:
    """What is sent for one sample, but for the numbers of streams.

    Args:
        headers: a header block.
        message: the serialised message.
    """

    __slots__ = ("body", "data_head", "headers_head", "rest")

    def __init__(self, headers: bytes, message: bytes) -> None:
        self.body = struct.pack(">BL", 0, len(message)) + message
        self.headers_head = frames.frame(frames.HEADERS, frames.END_HEADERS, 0, headers)[:5]
        self.rest = headers
        self.data_head = b""
        if len(self.body) <= frames.SMALLEST_FRAME_LIMIT:
            self.data_head = frames.frame(frames.DATA, frames.END_STREAM, 0, self.body)[:5]


def of_reset(target: str, code: int) -> Ending:
    """The end of a call whose stream the server gave up."""
    words = f"The server at {target} gave the call up (HTTP/2 error {code})."
    return Ending(_CODES_OF_RESETS.get(code, Code.INTERNAL), words)


def of_trailers(
    target: str,
    headers: Headers,
    trailers: Headers,
    pieces: Sequence[bytes],
    version_of: Callable[[bytes], int | None],
) -> Ending:
    """The end of a call with a status, or without one: of what is no gRPC server."""
    status = trailers.get(b"grpc-status")
    if status is None or not status.isdigit():
        http = headers.get(b":status", b"")
        code, said = _CODES_OF_HTTP.get(http, Code.UNKNOWN), http.decode(errors="replace")
        return Ending(code, f"No gRPC server answers at {target}: HTTP status {said}.")
    if status != b"0":
        message = unquote(trailers.get(b"grpc-message", b"").decode("ascii", "replace"))
        return refused(target, int(status), message)
    body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
    if len(body) < 5 or body[0] or int.from_bytes(body[1:5], "big") != len(body) - 5:
        return Ending(Code.INTERNAL, f"Expected one message without compression. Received: {len(body)} bytes.")
    return answered(body[5:], version_of)
