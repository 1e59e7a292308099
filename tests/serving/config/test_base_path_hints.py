"""What is said of a base path that is none is true of the path as it was given."""

from pathlib import Path

import pytest

from modelport_serving.config.base_path_hints import hints


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_home_folder(home):
    (hint,) = hints("~/models/digits")
    assert f"--model_base_path={home}/models/digits is meant" in hint
    assert "/~/" not in hint


def test_a_home_folder_of_nobody():
    assert "is meant" not in hints("~nobody-of-that-name/models")[0]


@pytest.mark.parametrize("path", ["models/digits", "./models/digits", "digits", ".", "..", "a b"])
def test_a_relative_path(home, path):
    (hint,) = hints(path)
    meant = hint.removeprefix("Perhaps --model_base_path=").removesuffix(" is meant.")
    assert Path(meant).is_absolute()
    assert Path(meant).resolve() == (home / path).resolve()


def test_a_file_uri():
    assert hints("file:///models/digits") == ["Perhaps --model_base_path=/models/digits is meant."]
    assert hints("file://host/models") == []


@pytest.mark.parametrize("path", ["s3://b/m", "gs://b/m", "hdfs://n/m", "C:\\models\\m", "c:/models", "", "/models/m"])
def test_where_there_is_nothing_true_to_say(path):
    assert hints(path) == []
