"""What the client's tests need beside a server: versions of chosen dtypes, and proxies in front of it."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
import urllib3

VERSION = "X-Modelport-Version"


@pytest.fixture
def publish(tmp_path) -> Callable[..., Path]:
    """Put a model of `models.py` into a base path as one version: `publish(base, 2, "typed", {"b": "int32"})`."""
    from tests.support import models

    def put(base: Path, version: int, model: str, *arguments, **keywords) -> Path:
        base.mkdir(parents=True, exist_ok=True)
        aside = getattr(models, model)(base / f".aside-{version}", *arguments, **keywords)
        return aside.rename(base / str(version))

    return put


class Front(BaseHTTPRequestHandler):
    """A proxy before a server's REST port, which a test lets answer in its own way: `respond(front)`."""

    protocol_version = "HTTP/1.1"
    respond: Callable[["Front"], None]
    behind: str
    pool: urllib3.PoolManager
    connections: ClassVar[list[socket.socket]] = []

    def setup(self) -> None:
        super().setup()
        self.connections.append(self.connection)

    def do_GET(self) -> None:
        self._body: bytes | None = None
        type(self).respond(self)
        self.read_body()

    do_POST = do_GET  # noqa: N815  # the name is the base class's

    def read_body(self) -> bytes:
        """The body of this request, which is not read before this is called or the request is answered."""
        if self._body is None:
            self._body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        return self._body

    def ask(self, path: str | None = None) -> urllib3.BaseHTTPResponse:
        """What the server behind says to this request, on another path if need be."""
        return self.pool.request(self.command, self.behind + (path or self.path), body=self.read_body(), retries=False)

    def send(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


def respond_unversioned(front: Front) -> None:
    """As `tensorflow/serving` answers: without the version."""
    answer = front.ask()
    front.send(answer.status, answer.data)


def respond_versioned(front: Front) -> None:
    """As the embedded server answers: predictions with the version that gave them."""
    if not front.path.endswith(":predict"):
        respond_unversioned(front)
        return
    answer = front.ask()
    while "/versions/" not in front.path:
        base = front.path.removesuffix(":predict")
        looked = front.pool.request("GET", f"{front.behind}{base}/metadata", retries=False)
        if looked.status != 200:
            break
        front.path = f"{base.partition('/labels/')[0]}/versions/{looked.json()['model_spec']['version']}:predict"
        answer = front.ask()
    version = front.path.partition("/versions/")[2].removesuffix(":predict")
    front.send(answer.status, answer.data, **({VERSION: version} if answer.status == 200 else {}))


class Fronts:
    """Starts proxies before servers; `start` returns the address of a new one."""

    respond_unversioned = staticmethod(respond_unversioned)
    respond_versioned = staticmethod(respond_versioned)

    def __init__(self) -> None:
        self._started: list[ThreadingHTTPServer] = []
        self._pool = urllib3.PoolManager(maxsize=16)

    def start(self, behind: str, respond: Callable[[Front], None]) -> str:
        members = {"behind": behind, "pool": self._pool, "respond": staticmethod(respond)}
        server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Front,), members))
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self._started.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    def unversioned(self, behind: str) -> str:
        return self.start(behind, respond_unversioned)

    def versioned(self, behind: str) -> str:
        return self.start(behind, respond_versioned)

    def drop_connections(self) -> None:
        """Close those of all clients, as a server does that ends."""
        while Front.connections:
            with contextlib.suppress(OSError):
                Front.connections.pop().shutdown(socket.SHUT_RDWR)

    def stop(self) -> None:
        for server in self._started:
            server.shutdown()
            server.server_close()
        self._pool.clear()


@pytest.fixture
def fronts() -> Iterator[Fronts]:
    running = Fronts()
    yield running
    running.stop()
