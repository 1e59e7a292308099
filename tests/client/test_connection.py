"""Which server is meant: names of a file, variables, several addresses, TLS by files, headers."""

from __future__ import annotations

import collections
import contextlib
import os
import ssl
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2_grpc
from grpc_health.v1.health import HealthServicer
from grpc_health.v1.health_pb2 import HealthCheckResponse

from modelport.errors import InvalidArgument, NotFound, Unauthenticated, Unavailable
from modelport.serverconfig import SslConfig, format_ssl
from modelport.wire import messages
from modelport_client import Client
from modelport_client.servers.connection import config_file, resolve
from modelport_serving import AUTO, Options, Server
from tests.support.blocking import Blocking
from tests.support.certificates import openssl

X = {"x": np.zeros(1, np.float32)}


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No variable and no file of whoever runs the tests; the path of the file."""
    for name in [name for name in os.environ if name.startswith("MODELPORT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "config").mkdir()
    return config_file()


def test_by_default() -> None:
    assert resolve(None).addresses == ("localhost:8500",)
    assert resolve("a:1, b:2").addresses == ("a:1", "b:2")
    assert resolve(["a:1", "b:2"]).target == "a:1, b:2"
    assert resolve("ipv4:1.2.3.4:1,1.2.3.5:1").addresses == ("ipv4:1.2.3.4:1,1.2.3.5:1",)


def test_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("SERVER", "https://a"), ("CA", "/ca"), ("HEADERS", "x-api-key=s3=, b = c")):
        monkeypatch.setenv(f"MODELPORT_{name}", value)
    found = resolve(None, headers={"b": "mine"})
    assert (found.target, found.ca, dict(found.headers)) == ("https://a", "/ca", {"x-api-key": "s3=", "b": "mine"})
    assert resolve("c:1", ca="other").ca == "other"
    monkeypatch.setenv("MODELPORT_HEADERS", "secret")
    with pytest.raises(InvalidArgument, match="name=value") as caught:
        resolve(None)
    assert "secret" not in str(caught.value)


def test_named_servers(nothing_said: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing_said.write_text(
        '[servers.prod]\naddress = ["a:1", "b:1"]\nca = "keys/ca.pem"\ntimeout = 3\nheaders = { x-key = "1" }\n'
    )
    monkeypatch.setenv("MODELPORT_HEADERS", "not=here")
    found = resolve("prod")
    assert found.addresses == ("a:1", "b:1")
    assert found.ca == str(nothing_said.parent / "keys/ca.pem")
    assert (found.timeout, dict(found.headers)) == (3, {"x-key": "1"})
    assert resolve("staging").addresses == ("staging",)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[servers.prod", "Expected TOML in .*modelport.toml"),
        ("[server.prod]", r"tables \[servers.NAME\]"),
        ("[servers.prod]\nca = 'x'", r"an address in \[servers.prod\]"),
        ("[servers.prod]\naddress = 'a'\nadress = 'b'", "Received: 'adress'"),
        ("[servers.prod]\naddress = 'a'\ntimeout = '3'", "another type for timeout"),
        ("[servers.prod]\naddress = []", "a target such as"),
        ("[servers.prod]\naddress = 'a'\nheaders = { a = 1 }", "text for each"),
        ("[servers.prod]\naddress = 'a'\ncert = 'c'", "Received no key"),
    ],
)
def test_files_that_are_not_understood(nothing_said: Path, text: str, words: str) -> None:
    nothing_said.write_text(text)
    with pytest.raises(InvalidArgument, match=words):
        resolve("prod")


def test_addresses_of_two_kinds() -> None:
    with pytest.raises(InvalidArgument, match="gRPC or of REST, not both"):
        Client(["a:1", "http://b:1"])


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pki")
    subject = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    openssl("req", "-x509", *subject, "-subj", "/CN=ca", "-keyout", f"{folder}/ca.key", "-out", f"{folder}/ca.pem")
    for name in ("server", "client"):
        files = ["-keyout", f"{folder}/{name}.key", "-out", f"{folder}/{name}.pem"]
        ca = ["-CA", f"{folder}/ca.pem", "-CAkey", f"{folder}/ca.key"]
        names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
        openssl("req", "-x509", *subject, "-subj", f"/CN={name}", *names, *ca, *files)
    return folder


@pytest.fixture
def mutual(pki: Path, add_version: Callable, tmp_path: Path) -> Iterator[Server]:
    add_version(tmp_path / "m", 1, "affine-2")
    texts = ((pki / name).read_text() for name in ("server.key", "server.pem", "ca.pem"))
    (tmp_path / "ssl.config").write_text(format_ssl(SslConfig(*texts, True)))
    options = Options(
        model_name="m",
        model_base_path=str(tmp_path / "m"),
        port=AUTO,
        rest_api_port=AUTO,
        ssl_config_file=str(tmp_path / "ssl.config"),
    )
    with Server(options) as server:
        yield server


@pytest.mark.parametrize("surface", [Client, Blocking])
@pytest.mark.parametrize("kind", ["grpc", "rest"])
def test_mutual_tls_by_files(mutual: Server, pki: Path, kind: str, surface: Any) -> None:
    target = mutual.grpc_address if kind == "grpc" else mutual.rest_address
    keys = {"ca": pki / "ca.pem", "cert": pki / "client.pem", "key": str(pki / "client.key")}
    with surface(target, **keys) as client:
        assert client.predict("m", X)["y"].tolist() == [2.0]
    with surface(target, ca=pki / "ca.pem", retry=False) as client, pytest.raises(Unavailable):
        client.predict("m", X)


@pytest.mark.parametrize("target", ["localhost:1", "https://localhost:1"])
def test_files_that_are_no_keys(pki: Path, tmp_path: Path, target: str) -> None:
    (tmp_path / "text").write_text("no key")
    for keys, error, words in (
        ({"ca": tmp_path / "text"}, InvalidArgument, r"certificates \(PEM\) in .*text"),
        ({"ca": tmp_path / "none"}, NotFound, "read the certificate"),
        ({"cert": pki / "client.pem"}, InvalidArgument, "Received no key"),
        ({"cert": pki / "client.pem", "key": pki / "server.key"}, InvalidArgument, "and its key"),
        ({"cert": pki / "ca.pem", "key": tmp_path / "text"}, InvalidArgument, "and its key"),
    ):
        with pytest.raises(error, match=words):
            Client(target, **keys)
    with pytest.raises(InvalidArgument, match="https:// with certificates"):
        Client("http://localhost:1", ca=pki / "ca.pem")


@pytest.mark.parametrize("surface", [Client, Blocking])
def test_headers_over_rest(server: Server, fronts: Any, surface: Any) -> None:
    seen: list[dict[str, str]] = []

    def respond(front: Any) -> None:
        seen.append({name.lower(): value for name, value in front.headers.items()})
        if front.headers.get("x-api-key") == "right":
            fronts.respond_versioned(front)
        else:
            front.send(401, b"<html>who are you?</html>")

    target = fronts.start(server.rest_address, respond)
    with surface(target, headers={"X-API-Key": "right"}) as client:
        assert client.predict("affine", X, headers={"x-request-id": "7"})["y"].tolist() == [2.0]
    assert all(one["user-agent"].startswith("modelport-client/") for one in seen)
    assert {one.get("x-request-id") for one in seen} == {"7"}
    with surface(target) as client, pytest.raises(Unauthenticated, match="HTTP status 401"):
        client.predict("affine", X)


@pytest.mark.parametrize("surface", [Client, Blocking])
def test_names_of_headers_have_no_case(server: Server, fronts: Any, surface: Any) -> None:
    seen: list[list[str]] = []

    def respond(front: Any) -> None:
        seen.append(front.headers.get_all("x-key"))
        fronts.respond_versioned(front)

    with surface(fronts.start(server.rest_address, respond), headers={"X-Key": "old"}) as client:
        client.predict("affine", X, headers={"x-key": "new"})
    assert all(one == ["new"] for one in seen)


def test_arguments_of_the_other_transport() -> None:
    context = ssl.create_default_context()
    for target, arguments in (
        ("localhost:1", {"ssl_context": context}),
        ("http://localhost:1", {"ssl_context": context}),
        ("https://localhost:1", {"credentials": grpc.ssl_channel_credentials()}),
    ):
        with pytest.raises(InvalidArgument, match=r"Expected (https://|a gRPC target)"):
            Client(target, **arguments)


def test_a_user_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container with a number for a user."""

    def none() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setattr(Path, "home", none)
    assert resolve("prod").addresses == ("prod",)


def test_a_file_that_is_broken_does_not_matter_to_an_address(nothing_said: Path) -> None:
    nothing_said.write_text("nonsense")
    assert resolve("localhost:1").addresses == ("localhost:1",)


@pytest.mark.parametrize("target", ["http://", "http://a:99999", "https://:1"])
def test_urls_that_are_none(target: str) -> None:
    with pytest.raises(InvalidArgument, match="a URL such as"):
        Client(target)


@pytest.mark.parametrize("timeout", [float("inf"), float("nan"), 1e10, True, "3"])
def test_time_outs_that_are_none(timeout: Any) -> None:
    with pytest.raises(InvalidArgument, match="Expected a timeout"):
        Client("localhost:1", timeout=timeout)


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Length": "3"},
        {"grpc-timeout": "1"},
        {"a b": "c"},
        {"a": "line\nbreak"},
        {"a": "ü"},
        {"x-bin": "a"},
        {"a": 1},
    ],
)
def test_headers_that_cannot_be_sent(headers: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument, match=r"Expected (a header's name|ASCII text)"):
        Client("localhost:1", headers=headers)


@pytest.fixture
def pair(serve: Callable, add_version: Callable, tmp_path: Path) -> list[Any]:
    """Two servers of the model `m`, whose versions tell them apart."""
    processes = []
    for version in (1, 2):
        add_version(tmp_path / f"m{version}", version, "affine-2")
        flags = ("--port=auto", "--rest_api_port=auto")
        processes.append(serve("--model_name=m", f"--model_base_path={tmp_path}/m{version}", *flags))
    return processes


@pytest.mark.parametrize("surface", [Client, Blocking])
@pytest.mark.parametrize("kind", ["gRPC", "REST"])
def test_several_addresses(pair: list[Any], kind: str, surface: Any) -> None:
    with surface([process.address(kind) for process in pair], timeout=30) as client:
        seen = collections.Counter(client.predict("m", X).version for _ in range(20))
        assert set(seen) == {1, 2}
        pair[0].process.kill()
        pair[0].process.wait(10)
        assert {client.predict("m", X).version for _ in range(20)} == {2}
        pair[1].process.kill()
        pair[1].process.wait(10)
        with pytest.raises(Unavailable):
            client.predict("m", X, timeout=1)


class Answering(grpc.GenericRpcHandler):
    """Answers each prediction with a version, and keeps the metadata that came along."""

    def __init__(self, version: int) -> None:
        self.version = version
        self.seen: list[dict[str, Any]] = []

    def service(self, call: Any) -> Any:
        if not call.method.endswith("/Predict"):
            return None

        def answer(_: bytes, context: Any) -> bytes:
            self.seen.append(dict(context.invocation_metadata()))
            response = messages.PredictResponse(model_spec=messages.ModelSpec(name="m"))
            response.model_spec.version.value = self.version
            return response.SerializeToString()

        return grpc.unary_unary_rpc_method_handler(answer)


@contextlib.contextmanager
def answering(version: int) -> Iterator[tuple[str, Answering, HealthServicer]]:
    """A server of gRPC's own, with its health service: its address, what it saw, and what it says of itself."""
    handler, health = Answering(version), HealthServicer()
    server = grpc.server(ThreadPoolExecutor(4), handlers=[handler])
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    health.set("", HealthCheckResponse.SERVING)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}", handler, health
    finally:
        server.stop(None).wait(10)


@pytest.mark.parametrize("surface", [Client, Blocking])
def test_headers_over_grpc(surface: Any) -> None:
    with answering(1) as (address, handler, _):
        with surface(address, headers={"X-API-Key": "k"}) as client:
            client.predict("m", X, headers={"x-request-id": "7"})
        (seen,) = handler.seen
    assert (seen["x-api-key"], seen["x-request-id"]) == ("k", "7")
    assert seen["user-agent"].startswith("modelport-client/")


@pytest.mark.parametrize("surface", [Client, Blocking])
@pytest.mark.parametrize("how", ["a list", "a name of gRPC"])
def test_a_replica_that_says_that_it_does_not_serve_is_left_out(surface: Any, how: str) -> None:
    with (
        answering(1) as (one, _, health),
        answering(2) as (other, _, _),
        surface([one, other] if how == "a list" else f"ipv4:{one},{other}", timeout=30) as client,
    ):

        def versions() -> set[int]:
            return {client.predict("m", X).version for _ in range(8)}

        for says, expected in ((HealthCheckResponse.NOT_SERVING, {2}), (HealthCheckResponse.SERVING, {1, 2})):
            health.set("", says)
            until = time.monotonic() + 20
            while versions() != expected:
                assert time.monotonic() < until
