"""Bodies of any length and kind are read while others are answered; what they may ask for is bounded."""

import itertools
import json
import threading

import numpy as np
import pytest

from modelport_client import Client
from modelport_serving import AUTO, Options, Server
from tests.support.http_connection import HttpConnection, ask

pytestmark = pytest.mark.slow  # large bodies

GOOD = b'{"instances": [1.0, 2.0]}'
PREDICT = "/v1/models/m:predict"


@pytest.fixture(scope="module")
def limited(model_files, tmp_path_factory):
    """A server with small limits."""
    root = tmp_path_factory.mktemp("limited")
    (root / "m").mkdir()
    (root / "m" / "1").symlink_to(model_files / "affine-2")
    options = Options(
        model_name="m",
        model_base_path=str(root / "m"),
        port=AUTO,
        rest_api_port=AUTO,
        rest_api_max_body_bytes=32 * 2**20,
        rest_api_readers=0,
        max_tensor_rank=4,
    )
    with Server(options) as server:
        yield server


def predict(server, body):
    return ask(server.rest_address, "POST", PREDICT, body)


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b"[["])
def test_nested_brackets_are_refused(limited, opening):
    answer = predict(limited, b'{"instances": ' + opening * 500_000)
    assert answer.status == 400
    assert b"error" in answer.body
    assert predict(limited, GOOD).status == 200


def test_too_many_dimensions(limited):
    answer = predict(limited, b'{"instances": ' + b"[" * 6 + b"1.0" + b"]" * 6 + b"}")
    assert (answer.status, b"--max_tensor_rank" in answer.body) == (400, True)
    with Client(limited.grpc_address) as client, pytest.raises(ValueError, match="at most 4 dimensions"):
        client.predict("m", {"x": np.zeros((1,) * 5, np.float32)})


def test_a_body_is_put_together_from_pieces_of_any_size(limited):
    body = b'{"inputs": {"x": [' + b"1.0, " * 4000 + b"2.0]}}"
    sizes = itertools.cycle([1, 2, 5000, 4096, 3, 70])
    with HttpConnection(limited.rest_address) as connection:
        connection.send(f"POST {PREDICT} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        left = body
        while left:
            size = next(sizes)
            piece, left = left[:size], left[size:]
            connection.send(b"%x\r\n%b\r\n" % (len(piece), piece))
        connection.send(b"0\r\n\r\n")
        assert len(connection.answer().json()["outputs"]) == 4001


LONG = {
    "floats": (b"1.25, " * 700_000 + b"1.25", "serving_default", 700_001),
    "integers": (b"7, " * 700_000 + b"7", "serving_default", 700_001),
    "strings": (b'"a",' * 700_000 + b'"a"', "text", 700_001),
    "one string": (b'"' + b"a" * 5_000_000 + b'"', "text", 1),
    "escapes": (b'"' + b"\\u00e9" * 500_000 + b'"', "text", 1),
    "base64": (b'{"b64": "YQ=="},' * 100_000 + b'{"b64": "YQ=="}', "text", 100_001),
}


@pytest.mark.parametrize("kind", LONG)
def test_a_long_body_holds_up_nobody(limited, kind):
    """Health checks and requests of other clients are answered between its arrival and its answer."""
    values, signature, count = LONG[kind]
    body = b'{"signature_name": "%b", "inputs": [%b]}' % (signature.encode(), values)
    answered = []
    sender = threading.Thread(target=lambda: answered.append(predict(limited, body)))
    others = 0
    with HttpConnection(limited.rest_address) as health, HttpConnection(limited.rest_address) as other:
        sender.start()
        while sender.is_alive():
            assert health.ask("GET", "/v1/health/live").status == 200
            assert other.ask("POST", PREDICT, GOOD).status == 200
            others += 1
    assert answered[0].status == 200
    assert len(answered[0].json()["outputs"]) == count
    assert others > 3, "they waited until it was read"


def test_what_is_wrong_at_the_end_of_a_long_body_is_told(limited):
    for wrong, words in ((b"x]}", "JSON"), (b'"a"]}', "float"), (b"[1.0]]}", "")):
        answer = predict(limited, b'{"inputs": [' + b"1.5, " * 100_000 + wrong)
        assert answer.status == 400
        assert words in answer.json()["error"]
    assert json.loads(predict(limited, GOOD).body)["predictions"] == [2.5, 3.0]
