"""Bytes of a connection → requests, by httptools, with bounds on their size."""

from __future__ import annotations

from collections.abc import Callable

import httptools

from modelport_serving.rest.http_messages import Request, Response, html_page

MAX_HEADER_BYTES = 64 * 1024
PIECE = 2**14  # bytes that are parsed at a time: some three hundred short requests, in two milliseconds
_LONG = 2**20  # bytes of a body that is left in pieces
_KEPT = 4096  # bytes of a body from which on a piece is kept as it came


class RequestParser:
    """Reads one connection.

    Args:
        line_up: takes each request as it is whole, and the answer to what cannot be one, which is the last.
        go_on: told when the client waits for leave to send a body (`Expect: 100-continue`).
        peer: the client's address.
        max_body_bytes: larger bodies are refused before they are read.

    Attributes:
        begun, in_head: whether a part of a request has come, and only of its head.
        body_bytes: of the request that has begun.
        refused: whether nothing more is read.
    """

    def __init__(
        self,
        line_up: Callable[[Request | Response], None],
        go_on: Callable[[], None],
        peer: str,
        max_body_bytes: int,
    ) -> None:
        self._line_up = line_up
        self._go_on = go_on
        self._peer = peer
        self._max_body_bytes = max_body_bytes
        self._parser = httptools.HttpRequestParser(self)
        self.begun = self.refused = False
        self._reset()

    @property
    def body_left(self) -> int:
        """Bytes that the body of the request under way still has, where its length is known."""
        return max(self._body_left, 0)

    def feed(self, piece: memoryview) -> memoryview | None:
        """Parse a piece; what cannot be read is refused, once.

        Returns:
            What is to be fed again, after an offer of another protocol that is passed over.
        """
        if self._untold_bytes > MAX_HEADER_BYTES + PIECE:
            self.refuse(html_page(431))
            return None
        self._untold_bytes += len(piece)
        try:
            self._parser.feed_data(piece)
        except httptools.HttpParserInvalidMethodError:
            self.refuse(html_page(501))
        except (httptools.HttpParserError, UnicodeDecodeError):
            self.refuse(html_page(400))
        except httptools.HttpParserUpgrade as upgrade:
            return self._without_upgrade(piece[upgrade.args[0] :])
        return None

    def refuse(self, response: Response) -> None:
        """Answer what cannot be a request, in its turn, and read no more."""
        if not self.refused:
            self.refused = True
            self._line_up(response)

    # httptools' side

    def on_message_begin(self) -> None:
        """A request begins."""
        self._reset()
        self.begun = True

    def on_url(self, url: bytes) -> None:
        """A piece of the target."""
        self._target += url
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header; behind the body it is a trailer, which says nothing about the request."""
        self._count(len(name) + len(value))
        if not self.in_head:
            return
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        if key in self._headers:
            if key in ("host", "content-length"):
                self.refuse(html_page(400))
            text = f"{self._headers[key]}, {text}"
        self._headers[key] = text

    def on_headers_complete(self) -> None:
        """All headers are here; the body follows."""
        self.in_head = False
        self._untold_bytes = 0
        length = self._headers.get("content-length", "0")
        self._body_left = int(length) if length.isdecimal() else 0
        if "host" not in self._headers and self._parser.get_http_version() == "1.1":
            self.refuse(html_page(400))
        elif self._body_left > self._max_body_bytes:
            self._refuse_body()
        elif self._expects_leave() and not self.refused:
            self._go_on()

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        if self.refused:
            return
        self._untold_bytes = 0
        self.body_bytes += len(body)
        self._body_left -= len(body)
        if self.body_bytes > self._max_body_bytes:
            self._refuse_body()
        elif len(body) >= _KEPT:
            self._body.append(body)
        elif self._body and isinstance(self._body[-1], bytearray):
            self._body[-1] += body  # small pieces are joined at once: each has its own overhead
        else:
            self._body.append(bytearray(body))

    def on_message_complete(self) -> None:
        """The request is whole; not where it offers another protocol, behind which the parser looks for no body."""
        if self.refused or self._parser.should_upgrade():
            return
        request = Request(
            self._parser.get_method().decode("ascii"),
            self._target.decode("latin-1"),
            self._headers,
            [bytes(piece) for piece in self._body] if self.body_bytes > _LONG else b"".join(self._body),
            self._peer,
            self._parser.should_keep_alive(),
            self._parser.get_http_version() == "1.0",
        )
        self.begun = False
        self._reset()
        self._line_up(request)

    # ours

    def _reset(self) -> None:
        self.in_head = True
        self.body_bytes = 0
        self._target = b""
        self._headers: dict[str, str] = {}
        self._body: list[bytes | bytearray] = []
        # The parser tells of a header, a trailer or a chunk's extension when it has all of it, which may be never.
        self._untold_bytes = 0
        self._header_bytes = 0
        self._body_left = 0

    def _expects_leave(self) -> bool:
        """Whether the client waits before it sends the body; one of HTTP/1.0 would take the leave for its answer."""
        asked = self._headers.get("expect", "").lower() == "100-continue"
        return asked and self._parser.get_http_version() != "1.0"

    def _count(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > MAX_HEADER_BYTES:
            self.refuse(html_page(431))

    def _refuse_body(self) -> None:
        limit = f"Expected a request body of at most {self._max_body_bytes} bytes (--rest_api_max_body_bytes)."
        self.refuse(Response(413, f'{{\n    "error": "{limit}"\n}}'.encode(), close=True))

    def _without_upgrade(self, rest: memoryview) -> memoryview | None:
        """What to feed next, to go on as if the client had not offered another protocol (RFC 9110, 7.8, allows it).

        The parser ends at such an offer, before the body; so the head is read once more without it.
        """
        method = self._parser.get_method()
        if method == b"CONNECT":
            self.refuse(html_page(501))
        if self.refused:
            return None
        headers = {name: value for name, value in self._headers.items() if name not in ("upgrade", "expect")}
        tokens = [token.strip() for token in headers.pop("connection", "").split(",")]
        headers["connection"] = ", ".join(token for token in tokens if token.lower() != "upgrade")
        lines = [f"{name}: {value}" for name, value in headers.items()]
        version = self._parser.get_http_version().encode()
        self._parser = httptools.HttpRequestParser(self)
        head = "\r\n".join([*lines, "\r\n"]).encode("latin-1")
        return memoryview(b"%b %b HTTP/%b\r\n%b%b" % (method, self._target, version, head, bytes(rest)))
