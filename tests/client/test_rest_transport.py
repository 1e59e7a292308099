"""What stands between client and server: statuses of proxies, and the server's own."""

import json
import threading

import pytest

from modelport.errors import DeadlineExceeded, NotFound, Unavailable, Unknown
from modelport_client import Client

PAGE = b"<html><head><title>Bad Gateway</title></head></html>"


def failing(fronts, server, status, body, times):
    """The address of a proxy that answers some predictions so, and how many it still has to."""
    left = [times]

    def respond(front):
        if front.path.endswith(":predict") and left[0]:
            left[0] -= 1
            front.read_body()
            front.send(status, body)
        else:
            fronts.respond_unversioned(front)

    return fronts.start(server.rest_address, respond), left


@pytest.mark.parametrize("status", [502, 503, 504])
def test_what_a_proxy_says_while_the_server_is_away_is_asked_again(server, fronts, status):
    """315 of 392 calls failed while a server behind nginx was restarted."""
    address, left = failing(fronts, server, status, PAGE, 3)
    with Client(address, timeout=30) as client:
        assert client.predict("affine", [1.0])["y"].tolist() == [2.5]
    assert left == [0]


@pytest.mark.parametrize("status", [502, 503, 504])
def test_asked_once_only_it_is_unavailable(server, fronts, status):
    address, _ = failing(fronts, server, status, PAGE, 1)
    with Client(address, timeout=30, retry=False) as client:
        with pytest.raises(Unavailable, match=f"HTTP status {status} from {address}: <html>"):
            client.predict("affine", [1.0])
        assert client.predict("affine", [1.0])["y"].tolist() == [2.5]


def test_the_servers_own_time_out_stays_one(server, fronts):
    address, left = failing(fronts, server, 504, b'{"error": "Timed out in the queue"}', 5)
    with Client(address, timeout=30) as client, pytest.raises(DeadlineExceeded, match="Timed out in the queue"):
        client.predict("affine", [1.0])
    assert left == [4]


def test_a_proxy_that_knows_no_such_path(server, fronts):
    """Not taken for a version that is gone, which is asked for again."""
    address, left = failing(fronts, server, 404, PAGE, 9)
    with Client(address, timeout=30) as client, pytest.raises(NotFound, match="HTTP status 404"):
        client.predict("affine", [1.0])
    assert left == [8]


@pytest.mark.parametrize(
    "outputs",
    [{"z": [1.0]}, {"y": [1.0], "z": [1.0]}, ["a"], [[1.0], [1.0, 2.0]], [True], [1e39], None, {"b64": "AA=="}],
)
def test_an_answer_that_is_none_of_the_signature(server, fronts, outputs):
    address, _ = failing(fronts, server, 200, json.dumps({"outputs": outputs}).encode(), 9)
    with Client(address, timeout=30) as client, pytest.raises(Unknown, match="not of its signature"):
        client.predict("affine", [1.0])


@pytest.mark.parametrize("body", [b"hello", b"[]", b"{}", b"\xff"])
def test_an_answer_that_is_none(server, fronts, body):
    address, _ = failing(fronts, server, 200, body, 9)
    with Client(address, timeout=30) as client, pytest.raises(Unknown, match="received b"):
        client.predict("affine", [1.0])


def test_threads_more_than_are_kept_open(server):
    with Client(server.rest_address, timeout=60) as client:
        wrong = []

        def ask():
            wrong.extend(a for _ in range(3) if (a := client.predict("affine", [1.0])["y"].tolist()) != [2.5])

        threads = [threading.Thread(target=ask) for _ in range(40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong
