"""The report of a version, opened in a real browser where there is one, and its size and words where there is none."""

import re

import keras
import numpy as np
import pytest

from modelport import layout
from modelport.__main__ import main
from modelport_export import ImageInput, publish
from modelport_export.report_page import parts
from tests.support import chromium

IMAGES = np.random.default_rng(1).integers(0, 255, (60, 8, 8), np.uint8)
WIDTHS = (390, 1100)


def classifier(seed):
    keras.utils.set_random_seed(seed)
    return keras.Sequential([keras.Input((64,)), keras.layers.Dense(3, activation="softmax", name="scores")])


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    given = {
        "name": "m",
        "repository": root,
        "image": ImageInput(8, 8, shape=(64,)),
        "labels": ["a<b", "c&d", "e" * 60],
        "samples": {"image": IMAGES[:8]},
        "evaluation": {"image": IMAGES, "label": np.arange(60) % 3},
        "history": [{"loss": 1.0 / e, "val_loss": 1.2 / e} for e in range(1, 9)],
        "data": {"fingerprint": "0123456789abcdef" * 4},
    }
    publish(classifier(1), **given)
    publish(classifier(2), force="a trial", **given)
    return root


def report(repository, version=2):
    return repository / "m" / str(version) / layout.HTML_REPORT


def test_what_it_says(repository):
    text = report(repository).read_text("utf-8")
    assert len(text.encode()) < parts.MOST_BYTES
    for words in (
        "Checks",
        "Learning curve",
        "Confusion: label",
        "Calibration: label",
        "Latency",
        "By class: label",
        "The worst mistakes: label",
        "a&lt;b",
        "by version 1",
        "Signatures",
        "To paste",
        "0123456789abcdef",
    ):
        assert words in text, words
    assert "a<b" not in text
    assert "<script" not in text
    assert re.findall(r'(?:src|href)="(?!data:|#)', text) == [], "nothing comes from elsewhere"


@pytest.mark.skipif(chromium.find() is None, reason="no Chromium here: apt-get install chromium")
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("dark", [False, True])
def test_in_a_browser(repository, tmp_path, width, dark):
    with chromium.page(tmp_path) as page:
        for version in (1, 2):
            page.open(report(repository, version).as_uri(), width, dark=dark)
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert page.evaluate("document.querySelectorAll('.plots svg').length") == 4
            assert page.evaluate("[...document.images].every(one => one.naturalWidth > 0)")
            paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert paper == ("rgb(13, 17, 23)" if dark else "rgb(255, 255, 255)")
        assert page.console == []
        assert [url for url in page.requests if not url.startswith(("file:", "data:"))] == []


def test_rows_that_are_no_pictures(tmp_path):
    model = keras.Sequential([keras.Input((2,), name="x"), keras.layers.Dense(1)])
    rows = np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32)
    found = publish(
        model,
        name="m",
        repository=tmp_path,
        samples={"x": rows[:4]},
        evaluation={"x": rows, "label": rows.sum(axis=1)},
    )
    text = (found.path / layout.HTML_REPORT).read_text("utf-8")
    assert "off by" in text
    assert "<code>x " in text


def test_the_command(repository, capsys, tmp_path):
    assert main(["report", "m@2", "--repository", str(repository)]) == 0
    assert capsys.readouterr().out.strip() == str(report(repository))
    (tmp_path / "m" / "1").mkdir(parents=True)
    assert main(["report", "m", "--repository", str(tmp_path)]) == 1
    assert "Publish it again" in capsys.readouterr().err
