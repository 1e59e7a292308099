"""Requests and responses of HTTP/1.1, and how a response is written."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus

_REASONS = {status.value: status.phrase for status in HTTPStatus} | {499: "Client Closed Request"}


Body = bytes | list[bytes]  # a long one is kept in pieces: putting a hundred megabytes together takes its time


def length_of(body: Body) -> int:
    """Of a body, in bytes."""
    return len(body) if isinstance(body, bytes) else sum(map(len, body))


@dataclass
class Request:
    """One request; header names are lower case, the values of a name that came several times are joined by commas."""

    method: str
    target: str  # as it was sent, query and all
    headers: dict[str, str]
    body: Body
    peer: str = ""
    keep_alive: bool = True  # the client wants to send another
    is_1_0: bool = False  # by HTTP/1.0, where a connection that stays open has to be offered and confirmed


@dataclass
class Response:
    """One answer; length, date and connection headers are added when it is written."""

    status: int
    body: Body = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    close: bool = False


Handler = Callable[[Request], Awaitable[Response]]


def html_page(status: int) -> Response:
    """The error page that the real server's HTTP library gives for what its API does not know."""
    phrase = _REASONS[status]
    text = f"<HTML><HEAD>\n<TITLE>{status} {phrase}</TITLE>\n</HEAD><BODY>\n<H1>{phrase}</H1>\n</BODY></HTML>\n"
    return Response(status, text.encode(), "text/html", close=True)


def head_of(response: Response, request: Request | None, keep_alive: bool) -> bytes:
    """The status line and the headers of an answer, up to the empty line."""
    head = [
        f"HTTP/1.1 {response.status} {_REASONS.get(response.status, 'Unknown')}",
        f"Content-Type: {response.content_type}",
        f"Date: {_date(int(time.time()))}",
        f"Content-Length: {length_of(response.body)}",
        *(f"{name}: {value}" for name, value in response.headers.items()),
    ]
    if not keep_alive:
        head.append("Connection: close")
    elif request is not None and request.is_1_0:
        head.append("Connection: keep-alive")
    return "\r\n".join([*head, "\r\n"]).encode("latin-1")


@lru_cache(maxsize=1)
def _date(second: int) -> str:
    return formatdate(second, usegmt=True)
