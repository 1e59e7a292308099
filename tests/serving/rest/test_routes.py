"""Routes, status codes and headers over real sockets, as clients, probes and proxies ask."""

import gzip

import pytest

from modelport_serving import AUTO, Options, Server
from tests.support.http_connection import HttpConnection, ask, request

GOOD = b'{"instances": [1.0, 2.0]}'
PREDICT = "/v1/models/m:predict"
PAGE = "/monitoring/prometheus/metrics"
READS = ["/v1/models/m", "/v1/models/m/versions/1", "/v1/models/m/metadata", "/v1/models/m/versions/1/metadata"]
READS += ["/v1/health/live", "/v1/health/ready", PAGE, "/v1/models/nobody", "/v1/models", "/", "/v1/models/m%zz"]


@pytest.fixture(scope="module")
def rest(model_files, tmp_path_factory):
    """The address of a server with everything on."""
    root = tmp_path_factory.mktemp("routes")
    (root / "m").mkdir()
    (root / "m" / "1").symlink_to(model_files / "affine-2")
    (root / "monitoring.config").write_text("prometheus_config { enable: true }")
    options = Options(
        model_name="m",
        model_base_path=str(root / "m"),
        port=AUTO,
        rest_api_port=AUTO,
        monitoring_config_file=str(root / "monitoring.config"),
        rest_api_max_body_bytes=4 * 2**20,
    )
    with Server(options) as server:
        yield server.rest_address


def predict(rest, body, headers=None, path=PREDICT):
    return ask(rest, "POST", path, body, headers)


@pytest.mark.parametrize("path", READS)
def test_head_is_get_without_the_body(rest, path):
    """Load balancers ask so; they got 400 and took the server for broken."""
    got, head = ask(rest, "GET", path), ask(rest, "HEAD", path)
    assert (head.status, head.body) == (got.status, b"")
    for name in ("content-type", "content-length"):
        if path != PAGE or name != "content-length":  # the page has grown by then
            assert head.headers[name] == got.headers[name]


def test_head_keeps_its_connection(rest):
    with HttpConnection(rest) as connection:
        for path in READS[:6]:
            assert connection.ask("HEAD", path).status == 200
        assert connection.ask("GET", "/v1/models/m").status == 200


def test_an_answer_says_which_version_gave_it(rest):
    assert predict(rest, GOOD).headers["x-modelport-version"] == "1"
    assert "x-modelport-version" not in predict(rest, b"{}").headers
    assert "x-modelport-version" not in ask(rest, "GET", "/v1/models/m").headers


def test_an_answer_has_a_date_and_a_length(rest):
    answer = predict(rest, GOOD)
    assert answer.headers["date"].endswith(" GMT")
    assert int(answer.headers["content-length"]) == len(answer.body)
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("host", ["http://h", "http://127.0.0.1:1", "https://h:8501", "http://[::1]:80", "HTTP://H"])
def test_the_absolute_form_is_a_path(rest, host):
    """Forward proxies send it."""
    answer = ask(rest, "POST", host + PREDICT, GOOD)
    assert answer.json() == {"predictions": [2.5, 3.0]}


@pytest.mark.parametrize("target", ["http://[::1", "http://", "*", "//", "http://h", "h:80"])
def test_targets_that_lead_nowhere(rest, target):
    assert ask(rest, "GET", target).status in (400, 404)


@pytest.mark.parametrize(("path", "method"), [("/V1/MODELS/m/VERSIONS/1:predict", "POST"), ("/V1/models/m", "GET")])
def test_paths_know_no_case(rest, path, method):
    assert ask(rest, method, path, GOOD if method == "POST" else None).status == 200


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_other_methods_are_no_requests(rest, method):
    answer = ask(rest, method, "/v1/models/m", GOOD)
    assert (answer.status, answer.json()) == (400, {"error": f"Malformed request: {method} /v1/models/m"})


@pytest.mark.parametrize("name", ["..%2F..%2Fetc", "%2e%2e", "..", "m%00", "/etc/passwd", "%2Fetc%2Fpasswd", "m%0a"])
def test_path_tricks_in_names_find_nothing(rest, name):
    answer = predict(rest, GOOD, path=f"/v1/models/{name}:predict")
    assert answer.status in (400, 404)
    assert b"root:" not in answer.body


@pytest.mark.parametrize("version", ["0", "2", "01", "9" * 18])
def test_versions_are_numbers(rest, version):
    answer = predict(rest, GOOD, path=f"/v1/models/m/versions/{version}:predict")
    assert answer.status == (200 if version == "01" else 404)


@pytest.mark.parametrize("version", ["9" * 19, "9" * 5000])
def test_versions_beyond_64_bits(rest, version):
    assert predict(rest, GOOD, path=f"/v1/models/m/versions/{version}:predict").status == 400


# Ways to send a body


def chunks(body, size=7):
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)


HEAD = f"POST {PREDICT} HTTP/1.1\r\nHost: h\r\n".encode()
SENT = {
    "chunked": HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunks(GOOD) + b"0\r\n\r\n",
    "chunked gzip": HEAD
    + b"Transfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n\r\n"
    + chunks(gzip.compress(GOOD))
    + b"0\r\n\r\n",
    "gzip trailer": HEAD
    + b"Transfer-Encoding: chunked\r\n\r\n"
    + chunks(GOOD)
    + b"0\r\nContent-Encoding: gzip\r\n\r\n",
    "HTTP/1.0": f"POST {PREDICT} HTTP/1.0\r\nContent-Length: {len(GOOD)}\r\n\r\n".encode() + GOOD,
    "offer": HEAD + b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: %d\r\n\r\n" % len(GOOD) + GOOD,
    "other type": request("POST", PREDICT, GOOD, {"Content-Type": "application/x-www-form-urlencoded"}),
    "two members": request(
        "POST", PREDICT, gzip.compress(GOOD[:9]) + gzip.compress(GOOD[9:]), {"Content-Encoding": "gzip"}
    ),
    "padded": request("POST", PREDICT, gzip.compress(GOOD) + bytes(512), {"Content-Encoding": "gzip"}),
}


@pytest.mark.parametrize("data", SENT.values(), ids=SENT)
def test_a_body_comes_in_many_ways(rest, data):
    with HttpConnection(rest) as connection:
        connection.send(data)
        answer = connection.answer()
        assert (answer.status, answer.json()) == (200, {"predictions": [2.5, 3.0]})


def test_leave_is_given_to_send_a_body(rest):
    """curl asks for it before it sends more than a mebibyte."""
    with HttpConnection(rest) as connection:
        connection.send(HEAD + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(GOOD))
        assert connection.answer().status == 100
        connection.send(GOOD)
        assert connection.answer().status == 200
        assert connection.ask("GET", "/v1/models/m").status == 200


def test_no_leave_is_given_for_a_body_that_is_too_long(rest):
    with HttpConnection(rest) as connection:
        connection.send(HEAD + b"Expect: 100-continue\r\nContent-Length: 999999999\r\n\r\n")
        answer = connection.answer()
        assert answer.status == 413
        assert b"--rest_api_max_body_bytes" in answer.body


BROKEN = {"cut off": gzip.compress(GOOD)[:-3], "garbage": gzip.compress(GOOD) + b"garbage", "plain": GOOD}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_what_is_no_gzip_is_no_body(rest, broken):
    assert predict(rest, broken, {"Content-Encoding": "gzip"}).status == 400
    assert predict(rest, GOOD).status == 200


@pytest.mark.parametrize("megabytes", [3, 64])
def test_a_gzip_bomb_is_refused_without_being_inflated(rest, megabytes):
    bomb = gzip.compress(b'{"instances": [' + b" " * (megabytes * 2**20))
    assert len(bomb) < 2**17
    answer = predict(rest, bomb, {"Content-Encoding": "gzip"})
    assert answer.status == 413
    assert b"--rest_api_max_inflate_ratio" in answer.body
    assert predict(rest, GOOD).status == 200


def test_an_ordinary_gzip_body_that_shrinks_well_is_served(rest):
    body = gzip.compress(b'{"instances": [' + b"0.0," * 100_000 + b"0.0]}")
    assert len(predict(rest, body, {"Content-Encoding": "gzip"}).json()["predictions"]) == 100_001


@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: 999999999\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n500000\r\n" + b" " * 0x500000,
    ],
    ids=["length", "chunks"],
)
def test_a_large_body_is_refused_before_it_is_read(rest, framing):
    with HttpConnection(rest) as connection:
        connection.send(HEAD + framing)
        assert connection.answer().status == 413
    assert predict(rest, GOOD).status == 200


def test_clients_that_go_before_their_answer_do_no_harm(rest):
    for _ in range(20):
        connection = HttpConnection(rest)
        connection.send(request("POST", PREDICT, GOOD))
        connection.reset()
    assert predict(rest, GOOD).status == 200


# Cross-origin requests


def test_cors_headers_where_they_are_asked_for(model_files, tmp_path):
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "1").symlink_to(model_files / "affine-2")
    options = Options(
        model_name="m",
        model_base_path=str(tmp_path / "m"),
        port=AUTO,
        rest_api_port=AUTO,
        rest_api_enable_cors_support=True,
    )
    with Server(options) as server:
        preflight = ask(server.rest_address, "OPTIONS", PREDICT, headers={"Origin": "http://site"})
        assert (preflight.status, preflight.headers["access-control-allow-origin"]) == (200, "*")
        assert predict(server.rest_address, GOOD).headers["access-control-allow-methods"] == "POST, GET"
        assert ask(server.rest_address, "OPTIONS", PREDICT).status == 400


def test_no_cors_headers_where_they_are_not(rest):
    assert "access-control-allow-origin" not in predict(rest, GOOD).headers
