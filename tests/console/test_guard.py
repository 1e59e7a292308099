"""Who is answered, asked over the port as a stranger would."""

import json

import pytest

from modelport import history
from modelport.history import Entry
from modelport_console.guard import MOST_BODY_BYTES
from tests.support.waiting import eventually

PATHS = [
    "/",
    "/models/affine",
    "/models/affine/try",
    "/static/console.js",
    "/live",
    "/openapi.json",
    "/doctor/findings",
    "/nowhere",
]
PLAN = {"action": "promote", "version": 1}


@pytest.mark.parametrize("path", PATHS)
def test_nothing_is_answered_without_the_token(console, path):
    for headers in ({}, {"authorization": "Bearer wrong"}, {"cookie": "modelport-console-1=x"}):
        answer = console.ask("GET", path, token=False, headers=headers)
        assert answer.status == 401
        assert "address that 'modelport console' printed" in answer.data.decode()
        assert console.token not in answer.data.decode()


def test_a_wrong_token_lets_nobody_in(console):
    for wrong in ("", "x", console.token[:-1], console.token + "x", "é"):
        answer = console.pool.request("GET", console.url + "/", fields={"token": wrong}, redirect=False)
        assert answer.status == 401
        assert "set-cookie" not in answer.headers


def test_the_token_becomes_a_cookie_that_scripts_and_other_sites_do_not_have(console):
    answer = console.ask("GET", f"//models/affine?token={console.token}&version=1", token=False)
    assert (answer.status, answer.headers["location"]) == (303, "/models/affine?version=1")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    page = console.ask("GET", "/", token=False, headers={"cookie": cookie.partition(";")[0]})
    assert page.status == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80", "", "a b"])
def test_a_name_that_is_not_ours_is_not_answered(console, host):
    for path in ("/", "/healthz", f"/?token={console.token}"):
        answer = console.ask("GET", path, headers={"host": host})
        assert answer.status in (400, 403)
        assert "set-cookie" not in answer.headers


def test_the_names_of_loopback_are_ours(console):
    port = console.url.rpartition(":")[2]
    for host in (f"localhost:{port}", f"127.0.0.1:{port}", f"[::1]:{port}", "LOCALHOST"):
        assert console.ask("GET", "/", headers={"host": host}).status == 200


@pytest.mark.parametrize("path", ["/models/affine/plan", "/models/affine/changes", "/models/affine/ask"])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-modelport-console": "0"},
        {"x-modelport-console": "1", "origin": "http://evil.example"},
        {"x-modelport-console": "1", "origin": "null"},
        {"x-modelport-console": "1", "sec-fetch-site": "cross-site"},
    ],
)
def test_a_change_comes_from_a_page_of_ours(console, path, headers):
    answer = console.ask("POST", path, body=json.dumps(PLAN), headers=headers)
    assert answer.status == 403
    assert "a change" in answer.data.decode()


def test_a_page_of_ours_may_ask(console):
    headers = {"x-modelport-console": "1", "origin": console.url, "sec-fetch-site": "same-origin"}
    answer = console.ask("POST", "/models/affine/plan", body=json.dumps(PLAN), headers=headers)
    assert answer.status == 200, answer.data
    assert answer.json()["lines"]


def test_bodies_are_bounded(console):
    headers = {"x-modelport-console": "1", "content-length": str(MOST_BODY_BYTES + 1)}
    assert console.ask("POST", "/models/affine/ask", body=b"", headers=headers).status == 413


@pytest.mark.parametrize("path", ["/", "/models/affine/try", "/static/console.css", "/nowhere"])
def test_pages_load_nothing_from_elsewhere(console, path):
    headers = console.ask("GET", path).headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-content-type-options"] == "nosniff"


def test_a_report_may_do_nothing(console, repository):
    folder = repository / "affine/1/assets.extra"
    folder.mkdir(exist_ok=True)
    (folder / "report.html").write_text("<script>fetch('/')</script>")
    answer = console.ask("GET", "/models/affine/versions/1/report.html")
    assert answer.headers["content-security-policy"].startswith("sandbox; default-src 'none';")
    assert console.ask("GET", "/models/affine/versions/2/report.html").status == 404
    assert console.ask("GET", "/models/..%2f..%2fetc/versions/1/report.html").status in (400, 404)


def test_what_others_wrote_is_text(console, repository):
    bad = "<img src=x onerror=alert(1)>"
    history.append(repository / "matrix", Entry("pin", 1, 1, {bad: 1}, bad, bad, bad, who=bad))
    console.change(
        "/models/matrix/changes", {"action": "pin", "version": 1, "why": bad}
    )  # after which it looks at once
    for path in ("/", "/models/matrix"):
        eventually(lambda: b"onerror" in console.ask("GET", path).data, 30, "the entry")  # noqa: B023  # called at once
        page = console.ask("GET", path).data.decode()
        assert bad not in page
        assert "&lt;img src=x" in page


def test_read_only_has_no_way_to_change(start_console, repository, embedded):
    console = start_console(str(repository), "--server", embedded.grpc_address, "--read-only")
    before = sorted(str(path) for path in repository.rglob("*"))
    for path in ("/models/affine/plan", "/models/affine/changes"):
        assert console.change(path, {**PLAN, "why": "no"}).status in (404, 405)
    assert sorted(str(path) for path in repository.rglob("*")) == before
    page = console.ask("GET", "/models/affine").data.decode()
    assert "data-action" not in page
    assert "changes.js" not in page
    assert (
        console.change("/models/affine/ask", {"signature": "serving_default", "inputs": {"x": {"text": "1"}}}).status
        == 200
    )


X = {"x": {"text": "1"}}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[" * 100_000,
        b"1",
        b'{"inputs": 1}',
        {"inputs": X, "versions": "1"},
        {"inputs": X, "versions": []},
        {"inputs": X, "versions": ["", "", ""]},
        {"inputs": X, "versions": [1]},
        {"inputs": X, "versions": ["9" * 30]},
        {"inputs": X, "server": "evil.example:80"},
        {"inputs": {"x": 1}},
        {"inputs": {"x": {"text": 1}}},
        {"inputs": {"x": {"text": "[" * 100_000}}},
        {"inputs": {"x": {"pixels": 1}}},
        {"inputs": {"x": {"pixels": {"values": [1, 2], "scale": "a"}}}},
        {"inputs": {"x": {"b64": [1]}}},
        {},
    ],
)
def test_what_is_no_question_is_refused(console, content):
    body = content if isinstance(content, bytes) else json.dumps(content)
    answer = console.ask("POST", "/models/affine/ask", body=body, headers={"x-modelport-console": "1"})
    assert 400 <= answer.status < 500, answer.data
    assert answer.json()["error"]


def test_files_where_numbers_are_expected_are_refused_by_the_server(console):
    content = {"inputs": {"x": {"b64": ["aGk="]}}, "signature": "serving_default"}
    [told] = console.change("/models/affine/ask", content).json()["answers"]
    assert "strings" in told["error"]
    assert told["fields"] == ["x"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{", "Expected JSON"),
        (b"[]", "Expected an action of"),
        (b'{"action": "remove"}', "Expected an action of"),
        (b'{"action": "pin"}', "Expected the number of a version"),
        (b'{"action": "pin", "version": "1"}', "whole number"),
        (b'{"action": "label", "version": 1}', "Expected a label"),
        (b'{"action": "gc"}', "Expected to keep 1 version or more"),
        (b'{"action": "promote", "version": 77}', "Received: 77"),
        (b'{"action": "promote", "version": 1, "why": "a\\nb"}', "Expected a line"),
    ],
)
def test_what_is_no_action_is_refused(console, content, words):
    answer = console.ask("POST", "/models/affine/plan", body=content, headers={"x-modelport-console": "1"})
    assert 400 <= answer.status < 500
    assert words in answer.json()["error"]
