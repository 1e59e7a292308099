"""The proxy variables: heeded by both transports, and named when a call fails because of them."""

import socket
import threading
import urllib.parse

import pytest

from modelport.errors import InvalidArgument, Unauthenticated, Unavailable
from modelport_client import Client
from modelport_client.transports import proxies

VARIABLES = ("grpc_proxy", "https_proxy", "http_proxy", "no_grpc_proxy", "no_proxy")
NOBODY = "http://user:secret@127.0.0.1:1"


@pytest.fixture(autouse=True)
def no_variables(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def connect_proxy():
    """A proxy for CONNECT, as gRPC and https use; `seen` are the addresses that it was asked for."""
    listening = socket.create_server(("127.0.0.1", 0))
    seen, sockets = [], [listening]

    def pump(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass

    def accept():
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            sockets.append(connection)
            head = b""
            while b"\r\n\r\n" not in head and (data := connection.recv(65536)):
                head += data
            address = head.split()[1].decode()
            seen.append(address)
            host, _, port = address.rpartition(":")
            beyond = socket.create_connection((host, int(port)))
            sockets.append(beyond)
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            for pair in ((connection, beyond), (beyond, connection)):
                threading.Thread(target=pump, args=pair, daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield f"127.0.0.1:{listening.getsockname()[1]}", seen
    for one in sockets:
        one.close()


@pytest.fixture
def forward_proxy(fronts):
    """A proxy for http://, which is asked for whole URLs; `seen` are their hosts."""
    seen = []

    def respond(front):
        url = urllib.parse.urlsplit(front.path)
        seen.append((url.netloc, front.headers.get("Proxy-Authorization")))
        type(front).behind = f"{url.scheme}://{url.netloc}"
        front.path = url.path
        fronts.respond_unversioned(front)

    return fronts.start("", respond).removeprefix("http://"), seen


def ask(target):
    with Client(target, timeout=10) as client:
        assert client.predict("affine", [1.0])["y"].tolist() == [2.5]


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY"])
def test_rest_goes_through_the_proxy(server, forward_proxy, monkeypatch, variable):
    address, seen = forward_proxy
    for value in (f"http://{address}", address):
        monkeypatch.setenv(variable, value)
        ask(server.rest_address)
        assert {host for host, _ in seen} == {server.rest_address.removeprefix("http://")}
        seen.clear()
    monkeypatch.setenv(variable, f"http://us%40er:pass@{address}")
    ask(server.rest_address)
    assert {word for _, word in seen} == {"Basic dXNAZXI6cGFzcw=="}


@pytest.mark.parametrize("variable", ["http_proxy", "https_proxy", "grpc_proxy", "HTTP_PROXY", "HTTPS_PROXY"])
def test_grpc_goes_through_the_proxy(server, connect_proxy, monkeypatch, variable):
    address, seen = connect_proxy
    monkeypatch.setenv(variable, f"http://{address}")
    ask(server.grpc_address)
    assert seen == [server.grpc_address]


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY"])
def test_a_proxy_that_does_not_answer_is_named_and_its_password_is_not(client, monkeypatch, variable, server):
    target = client.target
    monkeypatch.setenv(variable, NOBODY)
    with Client(target, timeout=10) as blocked, pytest.raises(Unavailable) as caught:
        blocked.predict("affine", [1.0])
    assert f"The variable {variable} names the proxy 127.0.0.1:1" in caught.value.message
    assert "secret" not in caught.value.message


@pytest.mark.parametrize("variable", ["no_proxy", "NO_PROXY"])
@pytest.mark.parametrize("listed", ["127.0.0.1", "example.org, 127.0.0.1", "*", "127.0.0.0/8"])
def test_hosts_without_a_proxy(client, monkeypatch, variable, listed):
    for name in ("http_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, NOBODY)
    monkeypatch.setenv(variable, listed)
    ask(client.target)


def test_a_proxy_that_refuses(fronts, server, monkeypatch):
    proxy = fronts.start("", lambda front: front.send(407, b"<html>who are you</html>"))
    monkeypatch.setenv("http_proxy", proxy)
    with Client(server.rest_address, timeout=10) as client, pytest.raises(Unauthenticated, match="variable http_proxy"):
        client.predict("affine", [1.0])


def test_what_is_no_http_proxy(monkeypatch):
    monkeypatch.setenv("http_proxy", "socks5://user:secret@127.0.0.1:1080")
    with pytest.raises(InvalidArgument, match=r"in the variable http_proxy, .* scheme 'socks5'") as caught:
        Client("http://127.0.0.1:1")
    assert "secret" not in caught.value.message


def test_which_variable(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://upper:1")
    assert proxies.for_rest("http://host").variable == "HTTP_PROXY"
    assert proxies.for_rest("https://host") is None
    monkeypatch.setenv("REQUEST_METHOD", "GET")  # in a CGI program the client sets HTTP_PROXY by a header
    assert proxies.for_rest("http://host") is None
    monkeypatch.setenv("http_proxy", "lower:1")
    assert str(proxies.for_rest("http://host")).startswith("The variable http_proxy names the proxy lower:1")
    assert proxies.for_rest("https://host") is None
    assert proxies.for_grpc("host:8500").variable == "http_proxy"
    monkeypatch.setenv("https_proxy", "secure:1")
    assert proxies.for_rest("https://host").variable == "https_proxy"
    assert proxies.for_grpc("host:8500").variable == "https_proxy"
    monkeypatch.setenv("grpc_proxy", "rpc:1")
    assert proxies.for_grpc("dns:///host:8500").variable == "grpc_proxy"
    monkeypatch.setenv("no_proxy", ".example.org ::1,10.0.0.0/8")
    for host in ("example.org", "a.Example.org", "[::1]", "10.1.2.3"):
        assert proxies.for_rest(f"http://{host}:8501") is None
        assert proxies.for_grpc(f"{host}:8500") is None
    for host in ("notexample.org", "[::2]", "11.1.2.3", "localhost"):
        assert proxies.for_rest(f"http://{host}:8501")
        assert proxies.for_grpc(f"{host}:8500")
    monkeypatch.setenv("no_grpc_proxy", "host")
    assert proxies.for_grpc("host:8500") is None
    for target in ("unix:/tmp/socket", "unix:///tmp/socket", "ipv4:10.0.0.1:1,10.0.0.2:1", "xds:///name"):
        assert not proxies.is_one_host(target)
