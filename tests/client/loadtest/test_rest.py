"""REST loads: the version of each answer, errors by kind, lost connections, proxies."""

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from modelport_client.loadtest.plan import REST, Plan, Samples
from modelport_client.loadtest.profile import Piece


def plan(
    target: str, model: str, body: str = '{"inputs": {"x": [1.0]}}', rate: float = 50, seconds: float = 0.5, **more
):
    samples = Samples(REST, f"/v1/models/{model}:predict", (body.encode(),), "the test")
    return Plan(target, samples, (Piece(rate, rate, seconds),), "steady", **more)


def test_versions_come_from_the_header(server, run):
    result = run(plan(server.rest_address, "affine"))
    assert (result.requests, result.failed, result.answered_by) == (25, 0, {1: 25})
    assert result.cost.sender == "HTTP/1.1"


@pytest.mark.parametrize(
    ("model", "body", "code", "words"),
    [
        ("nobody", '{"inputs": {"x": [1.0]}}', "NOT_FOUND", "nobody"),
        ("affine", '{"inputs": {"z": [1.0]}}', "INVALID_ARGUMENT", "Missing named input: x"),
        ("affine", "{", "INVALID_ARGUMENT", "JSON"),
    ],
)
def test_errors_have_the_servers_words(server, run, model, body, code, words):
    result = run(plan(server.rest_address, model, body))
    assert result.failed == result.requests
    assert len(result.errors) == 1
    assert result.errors[0].code == code
    assert words in result.errors[0].message


class _Proxy(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append(self.path)
        if len(self.server.asked) % 5 == 0:  # as a server does that ends connections between two requests or in one
            self.close_connection = True
            return
        status, body = (502, b"<html>no gateway") if "broken" in self.path else (200, b'{"outputs": 1}')
        self.send_response(status)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def http():
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Proxy)
    server.asked = []
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_without_the_header_the_version_is_unknown_and_lost_connections_are_counted(http, run):
    result = run(plan(f"http://127.0.0.1:{http.server_port}/behind", "m"))
    assert set(http.asked) == {"/behind/v1/models/m:predict"}
    assert result.answered_by == {None: 20}
    assert [(error.code, error.count) for error in result.errors] == [("UNAVAILABLE", 5)]
    assert "closed the connection" in result.errors[0].message


def test_what_a_gateway_says_is_no_answer_of_the_server(http, run):
    result = run(plan(f"http://127.0.0.1:{http.server_port}", "broken"))
    assert any(error.code == "UNAVAILABLE" and "HTTP status 502" in error.message for error in result.errors)
    assert result.answered_by == {}


def test_through_a_proxy(http, monkeypatch):
    from modelport_client.loadtest.processes import Generators
    from modelport_client.loadtest.results.result import result_of

    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{http.server_port}")
    monkeypatch.delenv("no_proxy", raising=False)
    asked = plan("http://models.example:8501", "m")
    with Generators(1) as generators:
        result = result_of(asked, generators.run(asked))
    assert set(http.asked) == {"http://models.example:8501/v1/models/m:predict"}
    assert result.answered_by == {None: 20}


def test_a_time_out_closes_the_connection(run):
    class Slow(_Proxy):
        def do_POST(self) -> None:
            time.sleep(1.0)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Slow)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    result = run(plan(f"http://127.0.0.1:{server.server_port}", "m", timeout_s=0.2))
    server.shutdown()
    server.server_close()
    assert {error.code for error in result.errors} == {"DEADLINE_EXCEEDED"}
    assert result.failed == result.requests == 25
