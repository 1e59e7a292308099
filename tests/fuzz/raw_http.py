"""HTTP by hand: bytes into a socket, and what comes back until the server is done with them."""

import socket
import time
from dataclasses import dataclass

PATIENCE = 20.0  # seconds after which a server that neither answers nor closes hangs; the machine may be busy

GOOD = b'{"instances": [1.0, 2.0, 5.0]}'


def request(target: bytes, body: bytes = b"", method: bytes = b"POST", headers: bytes = b"") -> bytes:
    """A well-framed request."""
    return b"%b %b HTTP/1.1\r\nHost: h\r\n%bContent-Length: %d\r\n\r\n%b" % (method, target, headers, len(body), body)


@dataclass
class Answer:
    """The first response on a connection; `status` is 0 when there was none."""

    status: int = 0
    head: bytes = b""
    body: bytes = b""
    rest: bytes = b""  # what followed
    closed: bool = False  # the server closed, within the patience


def answer(address: str, data: bytes, *, half_close: bool = False, until_closed: bool = False) -> Answer:
    """Send and read: one whole response, or everything until the server closes or `PATIENCE` is over."""
    host, port = address.removeprefix("http://").rsplit(":", 1)
    received = b""
    with socket.create_connection((host, int(port)), PATIENCE) as connection:
        try:
            connection.sendall(data)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # it closed before it had read everything, which is its right; what did it say?
        deadline = time.monotonic() + PATIENCE
        while until_closed or not (parsed := _parsed(received)).status:
            connection.settimeout(max(deadline - time.monotonic(), 1e-3))
            try:
                piece = connection.recv(1 << 16)
            except TimeoutError:
                return _parsed(received)
            except ConnectionError:
                piece = b""
            if not piece:
                parsed = _parsed(received)
                parsed.closed = True
                return parsed
            received += piece
        return parsed


def _parsed(received: bytes) -> Answer:
    head, end, after = received.partition(b"\r\n\r\n")
    if not end:
        return Answer()
    status = int(head.split(b" ", 2)[1])
    if status == 100:
        return _parsed(after)
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    length = int(fields[b"content-length"])
    if len(after) < length:
        return Answer()
    return Answer(status, head, after[:length], after[length:])


def still_answers(address: str) -> bool:
    """Whether the half plus two of a good request comes back."""
    good = answer(address, request(b"/v1/models/affine:predict", GOOD))
    return good.status == 200 and b"[2.5, 3.0, 4.5" in good.body
