"""Work that nobody waits for any more is not begun; requests under way are answered when the server stops."""

import http.client
import json
import socket
import struct
import threading
import time

import grpc
import numpy as np
import pytest

from modelport.errors import DeadlineExceeded, Unavailable
from modelport_client import Client
from modelport_serving import AUTO, Options, Server


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


def spin(seconds):
    return {"seconds": np.float32(seconds)}


def count(client, step=1.0, **call):
    return client.predict("counter", {"step": np.float32(step)}, **call)["total"].item()


def test_expired_work_is_not_run(one_at_a_time):
    with Client(one_at_a_time.grpc_address, timeout=60) as client:
        busy = threading.Thread(target=client.predict, args=("slow", spin(1.5)))
        busy.start()
        time.sleep(0.3)
        with pytest.raises(DeadlineExceeded):
            count(client, timeout=0.3)
        busy.join()
        assert count(client, 0.0) == 0


def test_a_client_that_goes_takes_its_waiting_request_along(one_at_a_time):
    host = one_at_a_time.rest_address.removeprefix("http://")
    with Client(one_at_a_time.grpc_address, timeout=60) as client:
        busy = threading.Thread(target=client.predict, args=("slow", spin(1.5)))
        busy.start()
        time.sleep(0.3)
        connection = http.client.HTTPConnection(host, timeout=10)
        connection.request("POST", "/v1/models/counter:predict", b'{"inputs": 1.0}')
        time.sleep(0.2)
        # Not by a plain close, which looks like that of a client which has asked and now only reads.
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
        busy.join()
        assert count(client, 0.0) == 0


def get(address, path):
    connection = http.client.HTTPConnection(address, timeout=10)
    connection.request("GET", path)
    answer = connection.getresponse()
    result = answer.status, json.loads(answer.read())
    connection.close()
    return result


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
    host = server.rest_address.removeprefix("http://")
    answers = []
    with (
        Client(server.grpc_address, timeout=60, retry=False) as client,
        grpc.insecure_channel(server.grpc_address) as channel,
    ):
        assert get(host, "/v1/health/ready") == (200, {"status": "OK"})
        busy = threading.Thread(target=lambda: answers.append(client.predict("slow", spin(2.0))))
        busy.start()
        time.sleep(0.5)
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        time.sleep(0.3)
        status, body = get(host, "/v1/health/ready")
        assert (status, body["reasons"]) == (503, ["the server is stopping"])
        assert get(host, "/v1/health/live")[0] == 200
        status, body = get(host, "/v1/models/slow")
        assert (status, body) == (503, {"error": "The server is stopping and takes no new requests."})
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
        host = server.rest_address.removeprefix("http://")
        assert get(host, "/v1/health/ready")[0] == 200
        (tmp_path / "a" / "1").rename(tmp_path / "a" / "gone")
        deadline = time.monotonic() + 20
        while (found := get(host, "/v1/health/ready"))[0] == 200:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert found[1]["reasons"][0].startswith("model a: version 1 is ")
        assert get(host, "/v1/health/live")[0] == 200
