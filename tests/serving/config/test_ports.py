"""Ports and sockets that cannot be had are told before anything is loaded, and addresses that are told can be used."""

import os
import socket
import stat
import threading
from pathlib import Path

import pytest

from modelport.errors import InvalidArgument, Unavailable
from modelport_serving import AUTO, Options, Server
from modelport_serving.config import ports
from tests.support.http_connection import ask

has_ipv6 = pytest.mark.skipif(not Path("/proc/net/if_inet6").exists(), reason="this machine has no IPv6")


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", "127.0.0.1:5"),
        ("0.0.0.0", "127.0.0.1:5"),
        ("", "127.0.0.1:5"),
        ("::", "[::1]:5"),
        ("::1", "[::1]:5"),
        ("fe80::1", "[fe80::1]:5"),
        ("name", "name:5"),
    ],
)
def test_an_address_to_paste(host, expected):
    assert ports.reachable(host, 5) == expected


def test_a_port_that_is_taken():
    with ports.listening_socket("127.0.0.1", 0) as taken:
        taken.listen()
        number = taken.getsockname()[1]
        with pytest.raises(Unavailable, match=rf"Cannot listen on 127\.0\.0\.1:{number}: the port is in use"):
            ports.check_free("127.0.0.1", number)
    ports.check_free("127.0.0.1", number)
    ports.check_free("127.0.0.1", 0)
    ports.check_free("127.0.0.1", AUTO)


@has_ipv6
def test_a_port_that_is_taken_on_ipv6():
    with ports.listening_socket("::1", 0) as taken:
        taken.listen()
        with pytest.raises(Unavailable, match=r"Cannot listen on \[::1\]:"):
            ports.check_free("::1", taken.getsockname()[1])


@pytest.mark.parametrize("host", ["no.such.host.invalid", "203.0.113.1", "999.1.1.1", "2001:db8::1", ":::"])
def test_an_address_of_somebody_else(host):
    with pytest.raises(InvalidArgument, match="--host"):
        ports.listening_socket(host, 0)


@has_ipv6
def test_all_addresses_are_those_of_both_families():
    with ports.listening_socket("::", 0) as listening:
        listening.listen()
        number = listening.getsockname()[1]
        for address in ("127.0.0.1", "::1"):
            socket.create_connection((address, number), 10).close()


# Unix sockets


@pytest.fixture
def path(tmp_path):
    return tmp_path / "s"


def test_nothing_is_there(path):
    ports.check_unix_socket("")
    ports.check_unix_socket(str(path))
    ports.check_unix_socket(str(path / "in" / "no" / "folder"))


def test_a_server_answers_on_it(path):
    """A second server took the socket of the first one away."""
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        with pytest.raises(Unavailable, match=r"another server answers on it\. Choose another path"):
            ports.check_unix_socket(str(path))
    assert path.is_socket()


def test_a_server_that_has_no_time_is_one_too(path):
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen(0)
        waiting = [socket.socket(socket.AF_UNIX) for _ in range(2)]
        for client in waiting:
            client.setblocking(False)
            try:
                client.connect(str(path))
            except BlockingIOError:
                break
        with pytest.raises(Unavailable, match="Cannot listen on the unix socket"):
            ports.check_unix_socket(str(path))
        for client in waiting:
            client.close()


def test_one_that_a_killed_server_left_is_removed(path):
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(path))
    ports.check_unix_socket(str(path))
    assert not path.exists()


@pytest.mark.parametrize("make", [lambda p: p.write_text("precious"), lambda p: p.mkdir(), os.mkfifo])
def test_something_else_is_there(path, make):
    make(path)
    kind = stat.S_IFMT(path.stat().st_mode)
    with pytest.raises(InvalidArgument, match="Expected a place for a unix socket"):
        ports.check_unix_socket(str(path))
    assert stat.S_IFMT(path.stat().st_mode) == kind


def test_a_link_to_a_socket_is_not_removed(path, tmp_path):
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(tmp_path / "other"))
    path.symlink_to("other")
    with pytest.raises(InvalidArgument, match="Expected a place for a unix socket"):
        ports.check_unix_socket(str(path))
    assert path.is_symlink()


# Servers


@has_ipv6
@pytest.mark.parametrize(("host", "families"), [("::", ("127.0.0.1", "[::1]")), ("0.0.0.0", ("127.0.0.1",))])
def test_a_server_on_all_addresses(add_version, tmp_path, host, families):
    """`--host=::` listened on IPv6 only on one port, and printed an address that cannot be pasted."""
    add_version(tmp_path / "m", 1, "affine-2")
    options = Options(model_name="m", model_base_path=str(tmp_path / "m"), host=host, port=AUTO, rest_api_port=AUTO)
    with Server(options) as server:
        for address in (*families, server.rest_address.rpartition(":")[0]):
            assert ask(f"{address}:{server.rest_port}", "GET", "/v1/models/m").status == 200
        for address in (*(f"{family}:{server.grpc_port}" for family in families), server.grpc_address):
            with socket.create_connection(
                (address.rpartition(":")[0].strip("[]"), int(address.rpartition(":")[2])), 10
            ):
                pass
        assert server.rest_address.startswith(f"http://{families[-1]}:")
        assert server.grpc_address.startswith(f"{families[-1]}:")


def test_two_servers_race_for_a_port(add_version, tmp_path):
    """One starts, the other says why it does not; neither takes a part of the other's requests."""
    add_version(tmp_path / "m", 1, "affine-2")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number = probe.getsockname()[1]
    options = Options(model_name="m", model_base_path=str(tmp_path / "m"), port=number)
    servers = [Server(options) for _ in range(2)]
    faults: list[Unavailable] = []
    done = threading.Barrier(3)

    def start(server: Server) -> None:
        try:
            server.start()
        except Unavailable as error:
            faults.append(error)
        done.wait(60)

    for server in servers:
        threading.Thread(target=start, args=(server,)).start()
    done.wait(60)
    for server in servers:
        server.stop()
    assert len(faults) == 1
