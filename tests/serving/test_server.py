"""Work that nobody waits for any more is not begun; requests under way are answered when the server stops."""

import threading

import grpc
import numpy as np
import pytest

from modelport.errors import DeadlineExceeded, Unavailable
from modelport_client import Client
from modelport_serving import AUTO, Options, Server
from tests.support.http_connection import HttpConnection, ask, request
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow  # starts and stops of servers


@pytest.fixture
def one_at_a_time(tmp_path, add_version):
    """A server that runs one request at a time, so that others wait."""
    add_version(tmp_path / "slow", 1, "slow")
    add_version(tmp_path / "counter", 1, "counter")
    config = tmp_path / "models.config"
    lines = [
        f'config {{ name: "{name}" base_path: "{tmp_path / name}" model_platform: "tensorflow" }}'
        for name in ("slow", "counter")
    ]
    config.write_text("model_config_list { " + " ".join(lines) + " }")
    options = Options(model_config_file=str(config), port=AUTO, rest_api_port=AUTO, run_threads=1)
    with Server(options) as server:
        yield server


def under_way(server):
    """How many requests were admitted and not answered yet."""
    return server._listeners._calls.under_way


def spin(seconds):
    return {"seconds": np.float32(seconds)}


def count(client, step=1.0, **call):
    return client.predict("counter", {"step": np.float32(step)}, **call)["total"].item()


def test_expired_work_is_not_run(one_at_a_time):
    with Client(one_at_a_time.grpc_address, timeout=60) as client:
        busy = threading.Thread(target=client.predict, args=("slow", spin(1.5)))
        busy.start()
        eventually(lambda: under_way(one_at_a_time) == 1)
        with pytest.raises(DeadlineExceeded):
            count(client, timeout=0.3)
        busy.join()
        assert count(client, 0.0) == 0


def test_a_client_that_goes_takes_its_waiting_request_along(one_at_a_time):
    with Client(one_at_a_time.grpc_address, timeout=60) as client:
        busy = threading.Thread(target=client.predict, args=("slow", spin(1.5)))
        busy.start()
        eventually(lambda: under_way(one_at_a_time) == 1)
        connection = HttpConnection(one_at_a_time.rest_address)
        connection.send(request("POST", "/v1/models/counter:predict", b'{"inputs": 1.0}'))
        eventually(lambda: under_way(one_at_a_time) == 2)
        connection.reset()
        eventually(lambda: under_way(one_at_a_time) == 1)
        busy.join()
        assert count(client, 0.0) == 0


def test_draining_answers_what_is_under_way_and_refuses_what_is_new(tmp_path, add_version):
    add_version(tmp_path / "slow", 1, "slow")
    options = Options(
        model_name="slow",
        model_base_path=str(tmp_path / "slow"),
        port=AUTO,
        rest_api_port=AUTO,
        enable_grpc_healthcheck_service=True,
    )
    server = Server(options)
    server.start()
    host = server.rest_address
    answers = []
    with (
        Client(server.grpc_address, timeout=60, retry=False) as client,
        grpc.insecure_channel(server.grpc_address) as channel,
    ):
        assert ask(host, "GET", "/v1/health/ready").json() == {"status": "OK"}
        busy = threading.Thread(target=lambda: answers.append(client.predict("slow", spin(2.0))))
        busy.start()
        eventually(lambda: under_way(server) == 1)
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        eventually(lambda: ask(host, "GET", "/v1/health/ready").status == 503)
        assert ask(host, "GET", "/v1/health/ready").json()["reasons"] == ["the server is stopping"]
        assert ask(host, "GET", "/v1/health/live").status == 200
        refused = ask(host, "GET", "/v1/models/slow")
        assert (refused.status, refused.headers["retry-after"], refused.headers["connection"]) == (503, "1", "close")
        assert refused.json() == {"error": "The server is stopping and takes no new requests."}
        with pytest.raises(Unavailable, match="stopping"):
            client.predict("slow", spin(0.0))
        health = channel.unary_unary("/grpc.health.v1.Health/Check")(b"", timeout=5)
        assert health == b"\x08\x02"  # NOT_SERVING
        busy.join()
        stopping.join(20)
        assert not stopping.is_alive()
    assert answers[0]["done"].item() == 2.0


def test_readiness_names_the_model_that_does_not_answer(tmp_path, add_version):
    add_version(tmp_path / "a", 1, "affine-2")
    config = tmp_path / "models.config"
    text = 'model_config_list { config { name: "a" base_path: "%s" model_platform: "tensorflow" } }'
    config.write_text(text % (tmp_path / "a"))
    options = Options(model_config_file=str(config), port=AUTO, rest_api_port=AUTO, max_num_load_retries=0)
    with Server(options) as server:
        host = server.rest_address
        assert ask(host, "GET", "/v1/health/ready").status == 200
        (tmp_path / "a" / "1").rename(tmp_path / "a" / "gone")
        eventually(lambda: ask(host, "GET", "/v1/health/ready").status == 503)
        assert ask(host, "GET", "/v1/health/ready").json()["reasons"][0].startswith("model a: version 1 is ")
        assert ask(host, "GET", "/v1/health/live").status == 200
