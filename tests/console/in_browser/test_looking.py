"""Pages that stay open while things happen: versions that come, fail and go, servers that go and come back."""

import re
import shutil
import signal

import pytest

from modelport_client import Client
from tests.console.conftest import MONITORING
from tests.support.ports import free_port
from tests.support.waiting import eventually


@pytest.fixture
def models(tmp_path, model_files):
    """A repository of its own, for what comes and goes."""
    root = tmp_path / "models"
    shutil.copytree(model_files / "affine-2", root / "affine/1")
    return root


def started(serve, models, port=0, rest=0):
    process = serve(
        str(models), f"--port={port or 'auto'}", f"--rest_api_port={rest or 'auto'}",
        f"--monitoring_config_file={MONITORING}", "--max_num_load_retries=0", "--file_system_poll_wait_seconds=1",
    )  # fmt: skip
    process.wait_for_output("Stop with Ctrl-C.")
    return process


def row(page, name="affine"):
    return page.locator(f".models tr[data-row={name}]")


def shows(page, selector, text):
    """Wait until a place shows some text."""
    page.wait_for_function(
        "([selector, text]) => document.querySelector(selector)?.textContent.includes(text)", arg=[selector, text]
    )


def test_a_version_appears_and_a_broken_one_says_why(serve, models, start_console, visit, add_version):
    process = started(serve, models)
    console = start_console(str(models), "--server", process.address("gRPC"), "--rest", process.address("REST"))
    overview, page = visit(console), visit(console, "/models/affine")
    shows(overview, "tr[data-row=affine]", "1 AVAILABLE")
    page.evaluate("window.stayed = true")
    add_version(models / "affine", 2, "affine-3")
    shows(overview, "tr[data-row=affine]", "2 AVAILABLE")
    shows(page, "tr[data-row='2']", "AVAILABLE")
    assert "2" in row(overview).locator(".live").inner_text()
    (models / "affine/.copy/saved_model.pb").parent.mkdir()
    (models / "affine/.copy/saved_model.pb").write_bytes(b"no graph")
    (models / "affine/.copy").rename(models / "affine/3")
    shows(page, "tr[data-row='3']", "FAILED")
    assert page.inner_text("tr[data-row='3'] .reason")
    shows(overview, "tr[data-row=affine]", "not ready")
    assert "Version 3 did not load" in row(overview).inner_text()
    assert page.evaluate("window.stayed"), "the page was loaded anew"
    page.goto(f"{console.url}/doctor")
    shows(page, "#findings", "modelport quarantine affine@3")


def test_a_server_that_goes_away_and_comes_back(serve, models, start_console, visit):
    port, rest = free_port(), free_port()
    process = started(serve, models, port, rest)
    console = start_console(str(models), "--server", f"localhost:{port}", "--rest", f"http://localhost:{rest}")
    page = visit(console)
    shows(page, "tr[data-row=affine]", "ready")
    process.process.kill()
    process.process.wait()
    shows(page, "#live", f"localhost:{port} does not answer.")
    assert f"modelport doctor localhost:{port}" in page.inner_text("#live .notice")
    assert "away" in row(page).inner_text()
    started(serve, models, port, rest)
    shows(page, "tr[data-row=affine]", "1 AVAILABLE")
    page.wait_for_selector(".notice.wrong:not([hidden])", state="detached")


def test_traffic_is_seen(serve, models, start_console, visit):
    process = started(serve, models)
    console = start_console(str(models), "--server", process.address("gRPC"), "--rest", process.address("REST"))
    page = visit(console)
    assert row(page).locator("td").nth(2).inner_text().strip() == "–"
    with Client(process.address("gRPC")) as client:

        def seen() -> bool:
            for _ in range(20):
                client.predict("affine", {"x": [1.0]}, signature="serving_default")
            cells = row(page).locator("td").all_inner_texts()
            return all(
                re.match(unit, text.strip())
                for unit, text in zip((r"\d.* /s", r"0\.0 %", r"\d.* ms", r"\d.* ms"), cells[2:6], strict=True)
            )

        eventually(seen, 20, "figures of the traffic")
    assert row(page).locator("svg polyline").count() >= 3


def test_replicas_that_differ_are_marked(serve, models, start_console, visit, tmp_path, model_files):
    other = tmp_path / "other"
    shutil.copytree(model_files / "affine-3", other / "affine/2")
    first, second = started(serve, models), started(serve, other)
    servers = [one.address("gRPC") for one in (first, second)]
    console = start_console(str(models), "--server", servers[0], "--server", servers[1])
    page = visit(console)
    shows(page, "tr[data-row=affine]", "servers differ")
    told = row(page).inner_text()
    assert f"{servers[0]} 1 AVAILABLE" in told
    assert f"{servers[1]} 2 AVAILABLE" in told
    page.goto(f"{console.url}/models/affine")
    heads = page.locator("thead").first.inner_text()
    assert all(server in heads for server in servers)
    assert "Say where its REST port is" in page.inner_text("#live")


def test_the_console_that_goes_away_is_told(start_console, models, visit):
    console = start_console(str(models), "--server", f"localhost:{free_port()}")
    page = visit(console)
    console.process.send_signal(signal.SIGTERM)
    assert console.process.wait(20) == 0
    page.wait_for_selector("#connection:not([hidden])")
    page.allowed("ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED_ENCODING", "ERR_EMPTY_RESPONSE")


def test_a_model_that_no_repository_has_is_shown_by_its_name(embedded, start_console, visit, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where there is no ./models
    console = start_console("--server", embedded.rest_address, "--model", "affine")
    page = visit(console)
    shows(page, "tr[data-row=affine]", "2 AVAILABLE")
    page.goto(f"{console.url}/models/affine")
    assert "not in the repository" in page.inner_text("tr[data-row='2']")
    assert page.locator("[data-action]").count() == 0
    page.goto(f"{console.url}/models/affine/try")
    page.fill("[data-field=x] textarea", "2")
    page.click("#ask-button")
    page.wait_for_selector(".answer table")
    assert (
        console.change("/models/affine/changes", {"action": "pin", "version": 1, "why": "x"}).data.count(b"failed") == 1
    )
