"""Faults that a running server shows."""

import http.server
import json
import socket
import threading

import pytest

from modelport import layout
from modelport.wire import messages
from modelport_serving import AUTO, Options, Server
from tests.support.certificates import self_signed
from tests.support.doctoring import expect, told
from tests.support.models import write_warmup
from tests.support.ports import free_port


@pytest.fixture
def running(base):
    with Server(Options(model_repository=str(base.parent), port=AUTO, rest_api_port=AUTO)) as server:
        yield server


def test_a_server_in_which_nothing_is_wrong(running):
    assert told(running.grpc_address, models=["m"]) == told(running.rest_address, models=["m"]) == []


def test_another_protocol_than_the_address_says(running, base, tmp_path):
    port = running.rest_address.rpartition(":")[2]
    expect("gRPC spoken to the REST port", told(f"localhost:{port}"), "Expected gRPC.*speaks REST", "http://localhost")
    there = told(f"http://{running.grpc_address}")
    expect("REST spoken to the gRPC port", there, "Expected REST.*speaks gRPC", "without http://")
    key, certificate = self_signed(tmp_path)
    tls = tmp_path / "ssl.config"
    tls.write_text(f"server_key: {json.dumps(key.read_text())} server_cert: {json.dumps(certificate.read_text())}")
    with Server(Options(model_repository=str(base.parent), port=AUTO, ssl_config_file=str(tls))) as closed:
        expect("TLS on one side only", told(closed.grpc_address), "speaks gRPC over TLS", "certificate")


def test_somebody_else_at_the_port():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]

        def greet():
            for _ in range(4):
                try:
                    taken, _ = other.accept()
                except OSError:
                    return
                taken.sendall(b"220 mail.example ESMTP\r\n")
                taken.close()

        threading.Thread(target=greet, daemon=True).start()
        expect(
            "a port that something else answers", told(f"localhost:{port}"), "speaks something else", "Another program"
        )
    expect("nobody at the port", told(f"localhost:{free_port()}"), "Nobody answers there", "modelport serve")


def test_what_a_server_says_of_its_models(base, add_version):
    """An unknown operation, and a warm-up that fails: nobody but a server can tell."""
    unknown = add_version(base, 2, "affine-2") / layout.SAVED_MODEL
    unknown.write_bytes(unknown.read_bytes().replace(b"AddV2", b"AddX9"))
    options = Options(model_repository=str(base.parent), port=AUTO, max_num_load_retries=0)
    with Server(options) as server:
        found = told(server.grpc_address, models=["m", "n"])
        expect(
            "an operation that the server does not know", found, "Version 2 of 'm' did not load.*AddX9", "quarantine"
        )
        expect("a model that is not served", found, "does not serve 'n'", "models.config")
    bad = messages.PredictRequest()
    bad.model_spec.name = "m"
    bad.inputs["nothing"].dtype = messages.DT_FLOAT
    write_warmup(add_version(base, 3, "affine-2"), [bad])
    with Server(options) as server:
        found = told(server.grpc_address, models=["m"])
        expect("a warm-up that fails", found, "Version 3 of 'm' did not load: Signature input alias", "quarantine m@3")


def test_a_message_that_is_too_large_on_the_way(running):
    assert told(running.grpc_address, message_bytes=6_000_000) == []

    class Proxy(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.send_error(413)

        def do_GET(self):
            self.send_error(404)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        found = told(f"http://127.0.0.1:{proxy.server_port}", message_bytes=100_000)
        proxy.shutdown()
    expect("a message larger than a limit on the way", found, "100,000 bytes does not pass", "client_max_body_size")
