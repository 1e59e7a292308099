"""Who is answered: whoever knows the token, under a name of ours, and for a change from a page of ours.

Another site can make a browser send requests to loopback, and a name of its own can be made to lead there. So the Host
header must be a name of ours, the cookie is not sent along from other sites, and a change needs a header that other
sites cannot send without being asked first, which is refused.
"""

from __future__ import annotations

import hmac
import re
from urllib.parse import urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

CHANGE_HEADER = "x-modelport-console"
MOST_BODY_BYTES = 24 * 2**20  # of a request: an image of 16 MB in base64, and some
HEALTH = "/healthz"  # answers without a token: that the process is there, and nothing else
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "frame-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
_UNKNOWN = (
    "401: this console answers to whoever has its token. Open the address that 'modelport console' printed when it was "
    "started: http://…/?token=…; for a program, send the header 'Authorization: Bearer TOKEN'.\n"
)
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(?::[0-9]{1,5})?")


class Guard:
    """Stands before all routes.

    Args:
        app: what is guarded.
        token: what a viewer must know.
        names: what the Host header may be, without a port.
        port: whose cookie it is: cookies of one name are of all ports.
    """

    def __init__(self, app: ASGIApp, token: str, names: frozenset[str], port: int) -> None:
        self._app, self._token, self._names, self._port = app, token, names, port

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(HTTPConnection(scope))
        inner: ASGIApp = self._app if refusal is None else refusal
        await inner(scope, _bounded(receive), _with_headers(send))

    def _refusal(self, asked: HTTPConnection) -> Response | None:
        path, method = asked.url.path, asked.scope["method"]
        host = _HOST.fullmatch(asked.headers.get("host", "").lower())
        if host is None or host[1] not in self._names:
            known = ", ".join(sorted(self._names))
            return _plain(403, f"this console is known as {known}; start it with --allow-host NAME for another name.")
        if path == HEALTH:
            return PlainTextResponse("ok\n")
        told = asked.query_params.get("token")
        if told is not None and method in ("GET", "HEAD"):
            return self._let_in(asked) if self._is_token(told) else PlainTextResponse(_UNKNOWN, 401)
        bearer = asked.headers.get("authorization", "").removeprefix("Bearer ")
        if not (self._is_token(asked.cookies.get(self._cookie(), "")) or self._is_token(bearer)):
            return PlainTextResponse(_UNKNOWN, 401)
        if method in ("GET", "HEAD"):
            return None
        return _foreign(asked.headers) or _too_long(asked.headers)

    def _let_in(self, asked: HTTPConnection) -> Response:
        """The same page without the token in its address, so that it stays in no history."""
        left = urlencode([(key, value) for key, value in asked.query_params.multi_items() if key != "token"])
        path = "/" + asked.url.path.lstrip("/")  # a path of two slashes would be another host
        answer = RedirectResponse(path + (f"?{left}" if left else ""), 303)
        answer.set_cookie(self._cookie(), self._token, path="/", httponly=True, samesite="strict")
        return answer

    def _cookie(self) -> str:
        return f"modelport-console-{self._port}"

    def _is_token(self, told: str) -> bool:
        return hmac.compare_digest(told.encode(), self._token.encode())


def _foreign(headers: Headers) -> Response | None:
    """The refusal of a change that no page of ours asks for."""
    origin = headers.get("origin")
    if headers.get(CHANGE_HEADER) != "1":
        return _plain(403, f"a change needs the header '{CHANGE_HEADER}: 1'.")
    if origin is not None and origin.partition("://")[2] != headers.get("host"):
        return _plain(403, "a change is taken from a page of this console only.")
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return _plain(403, "a change is taken from a page of this console only.")
    return None


def _too_long(headers: Headers) -> Response | None:
    length = headers.get("content-length", "0")
    if not length.isdecimal() or int(length) > MOST_BODY_BYTES:
        answer = _plain(413, f"expected a body of at most {MOST_BODY_BYTES:,} bytes.")
        answer.headers["connection"] = "close"  # what is left of the body is no request
        return answer
    return None


def _plain(status: int, text: str) -> Response:
    return PlainTextResponse(f"{status}: {text}\n", status)


def _bounded(receive: Receive) -> Receive:
    """A body that says no length is cut off where it is too long."""
    taken = 0

    async def bounded() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        return message if taken <= MOST_BODY_BYTES else {"type": "http.disconnect"}

    return bounded


def _with_headers(send: Send) -> Send:
    async def headed(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("content-security-policy", POLICY)
        await send(message)

    return headed
