"""Trying a model in the browser: what is drawn, typed and pasted, the answers, and the requests to paste."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from modelport_client import Client

WAIT_S = 60
SEVEN = Path(__file__).parents[3] / "docs/seven.png"


def draw_seven(page) -> None:
    box = page.locator("canvas.drawing").bounding_box()
    points = [(0.22, 0.12), (0.78, 0.12), (0.45, 0.88)]
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=8)
    page.mouse.up()


def test_a_drawn_seven_is_a_seven(console, visit, tmp_path):
    page = visit(console, "/models/digits/try")
    draw_seven(page)
    page.keyboard.press("Control+Enter")
    page.wait_for_selector(".bars .top")
    assert page.inner_text(".bars .top span:first-child") == "7"
    assert "version 1" in page.inner_text(".answer h2")
    assert page.locator(".bars [role=listitem]").count() == 10
    # The same requests in a terminal: the drawing is saved, and all three see what the page saw.
    with page.expect_download() as saved:
        page.click("a[download]")
    saved.value.save_as(tmp_path / "drawing.png")
    for name in ("curl", "command"):
        answer = run(page.text_content(f"[data-paste={name}]"), tmp_path)
        assert "7" in answer
    source = tmp_path / "ask.py"
    source.write_text(page.text_content("[data-paste=python]"))
    assert "'7'" in run(f"{sys.executable} {source}", tmp_path)


def run(command: str, folder: Path) -> str:
    """What a line prints, in a shell with our commands."""
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    line = command.replace("modelport predict", f"{sys.executable} -m modelport predict")
    import os

    result = subprocess.run(
        ["bash", "-c", line], cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True,
        timeout=WAIT_S, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_pixels_are_sent_as_the_signature_has_them(console, embedded, visit):
    page = visit(console, "/models/digits/try?signature=serving_default")
    page.check("text=draw")
    draw_seven(page)
    page.click("#ask-button")
    page.wait_for_selector(".bars .top")
    assert page.inner_text(".bars .top span:first-child") == "7"
    body = page.text_content("[data-paste=command]")
    assert "--signature serving_default" in body


@pytest.mark.parametrize("signature", ["serve_image_bytes", "serving_default"])
def test_an_image_is_uploaded(console, visit, signature):
    page = visit(console, f"/models/digits/try?signature={signature}")
    page.check("text=file")
    page.set_input_files("input[type=file]", SEVEN)
    page.click("#ask-button")
    page.wait_for_selector(".bars .top")
    with Client(console_server(page)) as client:
        expected = client.predict("digits", SEVEN)["label"][0]
    assert page.inner_text(".bars .top span:first-child") == expected
    if signature == "serve_image_bytes":
        assert "--image seven.png" in page.text_content("[data-paste=command]")


def console_server(page) -> str:
    """The address that the page asks."""
    return page.input_value("[name=server]")


def test_a_file_that_is_no_image_says_so(console, visit, tmp_path):
    (tmp_path / "table.png").write_text("no picture")
    page = visit(console, "/models/digits/try?signature=serving_default")
    page.check("text=file")
    page.click("#ask-button")
    page.wait_for_selector("[data-field=image].is-wrong")
    page.set_input_files("input[type=file]", tmp_path / "table.png")
    page.click("#ask-button")
    page.wait_for_function("() => document.querySelector('.wrong-field').textContent.includes('table.png is none')")


def test_two_versions_answer_side_by_side(console, embedded, repository, visit):
    console.change("/models/affine/changes", {"action": "promote", "version": 1, "why": "the first"})
    told = console.change(
        "/models/affine/changes",
        {"action": "label", "version": 2, "label": "canary", "keep_unlabelled": True, "why": "beside"},
    )
    assert b'"done"' in told.data, told.data
    with Client(embedded.grpc_address) as client:
        stable = client.predict("affine", {"x": np.float32([4.0])}, version=1)["y"][0]
        canary = client.predict("affine", {"x": np.float32([4.0])}, label="canary")["y"][0]
    page = visit(console, "/models/affine/try?signature=serving_default")
    page.fill("[data-field=x] textarea", "4")
    page.select_option("[name=first]", "1")
    page.select_option("[name=second]", "canary")
    page.click("#ask-button")
    page.wait_for_selector(".answer >> nth=1")
    shown = [page.locator(".answer").nth(place).inner_text() for place in range(2)]
    assert "version 1" in shown[0]
    assert "version 2 (canary)" in shown[1]
    assert [float(one.splitlines()[-1]) for one in shown] == [stable, canary] == [4.0, 5.0]
    assert all(" ms" in one for one in shown)


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("[1, 2]", "x"),
        ("one", "row 1, column 1"),
        ("1\t2\n3\tx", "row 2, column 2"),
        ("[1,", "Expected JSON"),
        ("", "Received: nothing"),
    ],
)
def test_a_field_that_is_wrong_says_so(console, visit, typed, expected):
    page = visit(console, "/models/affine/try?signature=named")
    page.fill("[data-field=b] textarea", "1")
    page.fill("[data-field=a] textarea", typed)
    page.click("#ask-button")
    if typed == "[1, 2]":  # two rows and one are broadcast: no field is wrong
        page.wait_for_selector(".answer table")
        return
    page.wait_for_selector("[data-field=a].is-wrong")
    assert expected in page.inner_text("[data-field=a] .wrong-field")
    assert page.locator("[data-field=b].is-wrong").count() == 0
    page.allowed("400 (Bad Request)")


def test_a_refusal_has_the_servers_words_at_the_field(console, visit):
    page = visit(console, "/models/matrix/try")
    page.fill("[data-field=x] textarea", "1\t2\n3\t4")
    page.click("#ask-button")
    page.wait_for_selector("[data-field=x].is-wrong")
    words = page.inner_text(".answer .words")
    assert "Matrix size-incompatible: In[0]: [2,2]" in words
    assert "input 'x' should be float [?, 3], is float [2, 2]" in words
    assert page.inner_text("[data-field=x] .wrong-field").split() == words.split()


def test_a_refusal_of_no_single_field_stands_alone(console, visit):
    page = visit(console, "/models/affine/try?signature=named")
    page.fill("[data-field=a] textarea", "[1, 2, 3]")
    page.fill("[data-field=b] textarea", "[1, 2]")
    page.click("#ask-button")
    assert "Incompatible shapes: [3] vs. [2]" in page.inner_text(".answer .words")
    assert page.locator(".is-wrong").count() == 0


def test_rows_of_a_spreadsheet_are_rows(console, visit):
    page = visit(console, "/models/affine/try?signature=named")
    for name, value in (("a", "1\n2\n3"), ("b", "10\t20\t30")):
        page.fill(f"[data-field={name}] textarea", value)
    page.click("#ask-button")
    page.wait_for_selector(".answer table")
    cells = [page.locator(".answer table").nth(place).inner_text().split() for place in range(6)]
    assert cells == [["-9"], ["-18"], ["-27"], ["11"], ["22"], ["33"]]
