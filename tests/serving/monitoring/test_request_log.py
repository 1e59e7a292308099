"""The access log: one line of JSON for each request, over both transports, with the id that it came with."""

import json

import grpc
import pytest

from modelport.wire import messages
from modelport_serving import AUTO, Options, Server
from tests.support.http_connection import HttpConnection, ask, request

STATUS = "/tensorflow.serving.ModelService/GetModelStatus"
GOOD = b'{"instances": [1.0]}'


@pytest.fixture
def logged(tmp_path, add_version):
    """A server, and what reads its log when it has ended."""
    add_version(tmp_path / "m", 1, "affine-2")
    options = Options(
        model_name="m",
        model_base_path=str(tmp_path / "m"),
        port=AUTO,
        rest_api_port=AUTO,
        access_log=str(tmp_path / "access.log"),
    )
    server = Server(options)
    server.start()

    def lines() -> list[dict]:
        server.stop()
        return [json.loads(line) for line in (tmp_path / "access.log").read_text().splitlines()]

    yield server, lines
    server.stop()


def ask_status(server, request_id):
    with grpc.insecure_channel(server.grpc_address) as channel:
        asked = messages.GetModelStatusRequest(model_spec=messages.ModelSpec(name="m")).SerializeToString()
        _, state = channel.unary_unary(STATUS).with_call(asked, timeout=10, metadata=[("x-request-id", request_id)])
        return dict(state.trailing_metadata())["x-request-id"]


def test_a_line_for_each_request(logged):
    server, lines = logged
    answer = ask(server.rest_address, "POST", "/v1/models/m:predict", GOOD, {"X-Request-Id": "abc-1"})
    assert answer.headers["x-request-id"] == "abc-1"
    missing = ask(server.rest_address, "GET", "/v1/models/zz")
    assert ask_status(server, "abc-2") == "abc-2"
    first, second, third = lines()
    assert [line["code"] for line in (first, second, third)] == ["OK", "NOT_FOUND", "OK"]
    assert [line["via"] for line in (first, second, third)] == ["REST", "REST", "GRPC"]
    assert (first["id"], third["id"]) == ("abc-1", "abc-2")
    assert (first["model"], first["version"], first["bytes_in"]) == ("m", 1, len(GOOD))
    assert first["bytes_out"] == len(answer.body)
    assert first["path"] == "/v1/models/m:predict"
    assert second["error"] == "Could not find any versions of model zz"
    assert second["id"] == missing.headers["x-request-id"]
    assert len(second["id"]) == 32
    assert first["peer"].startswith("127.0.0.1:")


def test_what_a_client_sends_does_not_make_lines(logged):
    """A line is one request's, whatever is in its id or its path."""
    server, lines = logged
    with HttpConnection(server.rest_address) as connection:
        connection.send(b'GET /v1/models/"\\ HTTP/1.1\r\nHost: h\r\nX-Request-Id: a", "code": "OK\xff\r\n\r\n')
        assert connection.answer().headers["x-request-id"] == 'a", "code": "OK\xff'
    (line,) = lines()
    assert line["id"] == 'a", "code": "OK\xff'
    assert line["path"] == '/v1/models/"\\'
    assert line["code"] == "NOT_FOUND"


def test_the_ids_of_a_pipeline_are_each_their_own(logged):
    server, lines = logged
    with HttpConnection(server.rest_address) as connection:
        connection.send(b"".join(request("GET", "/v1/models/m", headers={"X-Request-Id": str(n)}) for n in range(100)))
        assert [connection.answer().headers["x-request-id"] for _ in range(100)] == [str(n) for n in range(100)]
    assert [line["id"] for line in lines()] == [str(n) for n in range(100)]


def test_an_id_in_a_trailer_is_none(logged):
    server, lines = logged
    with HttpConnection(server.rest_address) as connection:
        head = b"POST /v1/models/m:predict HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
        connection.send(head + b"%x\r\n%b\r\n0\r\nX-Request-Id: stolen\r\n\r\n" % (len(GOOD), GOOD))
        assert connection.answer().status == 200
    assert lines()[0]["id"] != "stolen"


def test_health_checks_are_not_logged(logged):
    server, lines = logged
    for path in ("/v1/health/live", "/v1/health/ready"):
        assert ask(server.rest_address, "GET", path).status == 200
    assert lines() == []


def test_an_id_is_sent_back_without_a_log_too(server):
    answer = ask(server.rest_address, "GET", "/v1/models/affine", headers={"X-Request-Id": "abc"})
    assert answer.headers["x-request-id"] == "abc"
    assert "x-request-id" not in ask(server.rest_address, "GET", "/v1/models/affine").headers
