"""Changes from the page: what will happen is said first, then each step; the history has what a command writes."""

import shutil

import numpy as np
import pytest

from modelport import history, marks
from modelport_client import Client
from modelport_serving import AUTO, Options, Server
from tests.support.waiting import eventually

REASON = "because the test says so"


@pytest.fixture
def models(tmp_path, model_files):
    root = tmp_path / "models"
    for number, files in ((1, "affine-2"), (2, "affine-3"), (3, "affine-2")):
        shutil.copytree(model_files / files, root / "affine" / str(number))
    return root


@pytest.fixture
def server(models):
    options = Options(
        model_repository=str(models), port=AUTO, rest_api_port=AUTO, max_num_load_retries=0,
        allow_version_labels_for_unavailable_models=True,
    )  # fmt: skip
    with Server(options) as running:
        yield running


@pytest.fixture
def page(start_console, models, server, visit):
    console = start_console(str(models), "--server", server.grpc_address)
    opened = visit(console, "/models/affine")
    yield opened
    opened.goto("about:blank")
    console.end()  # before the server, which would wait for it


def do(page, button, **typed):
    """Click, read what will happen, give a reason, do it; returns what was foreseen, the steps and the outcome."""
    page.click(button)
    for name, value in typed.items():
        page.fill(f"#change [name={name}]", value)
    page.wait_for_selector("#change-go:enabled")
    plan = page.locator("#plan li").all_inner_texts()
    page.fill("#change [name=why]", REASON)
    page.wait_for_selector("#change-go:enabled")
    page.click("#change-go")
    page.wait_for_selector("#outcome:is(.done, .failed)")
    told = plan, page.locator("#steps li").all_inner_texts(), page.inner_text("#outcome")
    page.click("#change-close")
    return told


def answered(server, **which):
    with Client(server.grpc_address) as client:
        return client.predict("affine", {"x": np.float32([4])}, signature="serving_default", **which).version


def last(models):
    return history.read(models / "affine")[-1]


def test_promote_and_roll_back(page, models, server):
    assert answered(server) == 3
    plan, steps, outcome = do(page, "tr[data-row='1'] [data-action=promote]")
    assert "Requests without version or label go to version 1; they go to 3 now." in plan
    assert f"{server.grpc_address} loads version 1, and is asked the samples that it carries." in plan
    assert outcome == "Version 1 is live."
    assert steps[0] == "The files of version 1 are those that were written."
    assert answered(server) == 1
    assert (last(models).action, last(models).live, last(models).why) == ("promote", 1, REASON)
    page.wait_for_selector("tr[data-row='1'].is-live")
    do(page, "tr[data-row='2'] [data-action=promote]")
    assert answered(server) == 2
    page.wait_for_selector("tr[data-row='2'].is-live")
    plan, _, outcome = do(page, "[data-action=rollback]:not([data-label])")
    assert plan[0] == "By the history, version 1 was there before."
    assert outcome == "Back to version 1."
    assert answered(server) == 1
    assert (last(models).action, last(models).live) == ("rollback", 1)
    page.wait_for_selector("text=rollback")
    do(page, "[data-action=promote]:not([data-version])")
    assert answered(server) == 3


def test_a_label_and_back(page, models, server):
    plan, _, outcome = do(page, "tr[data-row='1'] [data-action=label]", label="canary")
    assert "Requests with the label 'canary' go to version 1." in plan
    assert outcome == "The label 'canary' is on version 1."
    assert answered(server, label="canary") == 1
    page.wait_for_selector("tr[data-row='1'] .label:text-is('canary')")
    do(page, "[data-action=unlabel][data-label=canary]")
    assert last(models).action == "unlabel"
    page.wait_for_selector("[data-action=unlabel]", state="detached")


def test_a_version_that_does_not_come_up_is_put_back(page, models, server, add_version):
    do(page, "tr[data-row='3'] [data-action=promote]")
    (models / "affine/9").mkdir()
    (models / "affine/9/saved_model.pb").write_bytes(b"no graph")
    page.wait_for_selector("tr[data-row='9']")
    before = (models / "models.config").read_text()
    _, steps, outcome = do(page, "tr[data-row='9'] [data-action=promote]")
    assert "gave up version 9" in outcome
    assert any(step.startswith("Put back: models.config says again") for step in steps)
    assert (models / "models.config").read_text() == before
    assert answered(server) == 3
    assert all(entry.live != 9 for entry in history.read(models / "affine"))


def test_pin_collect_and_unpin(page, models, server):
    do(page, "tr[data-row='1'] [data-action=pin]")
    assert marks.pins(models / "affine") == {1: REASON}
    page.wait_for_selector("tr[data-row='1'] [data-action=unpin]")
    plan, _, outcome = do(page, "[data-action=gc]", keep="1")
    assert plan[0].startswith("Removed for good: version 2")
    assert f"Version 1 stays: pinned: {REASON}." in plan
    assert outcome.startswith("Removed: 2")
    page.wait_for_selector("tr[data-row='2']", state="detached")
    assert not (models / "affine/2").exists()
    do(page, "tr[data-row='1'] [data-action=unpin]")
    assert marks.pins(models / "affine") == {}


def test_what_would_be_refused_is_said_before_it_is_asked_for(page, models, server):
    page.click("[data-action=rollback]:not([data-label])")
    page.wait_for_selector("#plan .unready")
    assert "Expected the history of 'affine'" in page.inner_text("#plan")
    assert page.is_disabled("#change-go")
    assert not (models / "models.config").exists()
    page.allowed("409 (Conflict)")


def test_two_versions_are_compared(page, models):
    page.check("tr[data-row='1'] input")
    page.check("tr[data-row='2'] input")
    page.click("#compare")
    assert "Expected a version that modelport published" in page.inner_text(".words")
    page.allowed("409 (Conflict)")


def test_a_change_goes_on_when_its_page_is_closed(start_console, models, server):
    console = start_console(str(models), "--server", server.grpc_address)
    content = {"action": "promote", "version": 1, "why": REASON}
    headers = {"x-modelport-console": "1"}
    answer = console.ask("POST", "/models/affine/changes", json=content, headers=headers, preload_content=False)
    answer.close()
    console.end()
    eventually(lambda: history.read(models / "affine") and last(models).live == 1, 30, "the promotion")
    assert answered(server) == 1
