"""Which server is meant: names of a file, variables, addresses; TLS by files."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from modelport.errors import InvalidArgument, NotFound, Unavailable
from modelport.serverconfig import SslConfig, format_ssl
from modelport_client import Client
from modelport_client.servers.connection import config_file, resolve
from modelport_serving import AUTO, Options, Server
from tests.support.blocking import Blocking
from tests.support.certificates import authority

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
    return authority(tmp_path_factory.mktemp("pki"))


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
