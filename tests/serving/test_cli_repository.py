"""`modelport serve models/`: every model of a repository, as it is now."""

import shutil

import pytest

from tests.support.http_connection import ask
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow  # processes of the server

PORTS = ("--port=auto", "--rest_api_port=auto")


@pytest.fixture
def root(tmp_path, add_version):
    """A repository with two models."""
    for name in ("a", "b"):
        add_version(tmp_path / "models" / name, 1, "affine-2")
    return tmp_path / "models"


def states(address: str, model: str) -> dict[str, str]:
    answer = ask(address, "GET", f"/v1/models/{model}")
    found = answer.json().get("model_version_status", [])
    return {status["version"]: status["state"] for status in found}


def predicts(address: str, model: str) -> bool:
    return ask(address, "POST", f"/v1/models/{model}:predict", b'{"instances": [1.0]}').status == 200


def test_every_model_is_served(serve, root):
    process = serve(str(root), *PORTS)
    address = process.address("REST")
    assert predicts(address, "a")
    assert predicts(address, "b")
    assert process.end() == 0


@pytest.mark.parametrize(
    "word", ["models/", *(pytest.param(w, marks=pytest.mark.slow) for w in ("models", "../here/models"))]
)
def test_a_relative_path_is_that_of_where_it_is_typed(serve, root, word):
    here = root.parent / "here"
    here.mkdir()
    root.rename(here / "models")
    process = serve(word, *PORTS, folder=here)
    assert predicts(process.address("REST"), "a")
    assert process.end() == 0


def test_models_come_and_go(serve, root, add_version):
    """One that is published later is taken up, with each of its versions; one that is removed is not answered for."""
    process = serve(str(root), *PORTS, "--max_num_load_retries=0")
    address = process.address("REST")
    add_version(root / "c", 1, "affine-3")
    eventually(lambda: predicts(address, "c"), what="the new model")
    add_version(root / "c", 2, "affine-2")
    eventually(lambda: states(address, "c").get("2") == "AVAILABLE", what="its second version")
    shutil.rmtree(root / "a")
    eventually(lambda: not predicts(address, "a"), what="the end of a model")
    assert predicts(address, "b")
    add_version(root / "a", 3, "affine-2")
    eventually(lambda: predicts(address, "a"), what="its return")
    assert ask(address, "GET", "/v1/health/ready").status == 200
    assert process.end() == 0


def test_a_broken_model_does_not_keep_others_from_coming(serve, root, add_version):
    process = serve(str(root), *PORTS)
    address = process.address("REST")
    (add_version(root / "broken", 1, "affine-2") / "saved_model.pb").write_bytes(b"no SavedModel")
    eventually(lambda: states(address, "broken") != {}, what="the broken model")
    add_version(root / "c", 1, "affine-2")
    eventually(lambda: predicts(address, "c"), what="the good one")
    assert predicts(address, "a")
    assert process.end() == 0


def test_an_empty_repository_is_served_until_there_is_something(serve, tmp_path, add_version):
    (tmp_path / "models").mkdir()
    process = serve(str(tmp_path / "models"), *PORTS)
    address = process.address("REST")
    assert ask(address, "GET", "/v1/health/live").status == 200
    add_version(tmp_path / "models" / "m", 1, "affine-2")
    eventually(lambda: predicts(address, "m"), what="the first model")
    assert process.end() == 0


def test_what_is_no_model_is_passed_over(serve, root):
    (root / "README.md").write_text("about")
    (root / "empty").mkdir()
    (root / ".hidden" / "1").mkdir(parents=True)
    process = serve(str(root), *PORTS)
    address = process.address("REST")
    assert predicts(address, "a")
    assert ask(address, "GET", "/v1/models/empty").status == 404
    assert process.end() == 0


def test_a_missing_repository(serve, tmp_path):
    process = serve(str(tmp_path / "nowhere"), *PORTS)
    assert process.process.wait(60) == 1
    assert "Expected a model repository: a folder that holds a folder for each model." in process.output
    assert "Traceback" not in process.output


def test_a_file_for_a_repository(serve, tmp_path):
    (tmp_path / "models").write_text("x")
    process = serve(str(tmp_path / "models"), *PORTS)
    assert process.process.wait(60) == 1
    assert "Expected the model repository to be a folder" in process.output


def test_a_repository_and_a_base_path(serve, root):
    process = serve(str(root), f"--model_base_path={root}/a", *PORTS)
    assert process.process.wait(60) == 1
    assert "Expected a model repository, or --model_base_path, or --model_config_file" in process.output


@pytest.mark.parametrize(
    ("inside", "hint"),
    [
        ("", "This folder holds models: the base path may be meant to be {root}/a."),
        ("a/1", "may be meant to be {root}/a."),
    ],
    ids=["a repository", "a version"],
)
def test_a_base_path_that_is_something_else(serve, root, inside, hint):
    process = serve(f"--model_base_path={root / inside}", *PORTS)
    process.wait_for_output(hint.format(root=root))
    assert process.end() == 0


def test_a_model_that_is_broken_at_the_start_does_not_keep_others_from_being_served(serve, root):
    """Its next attempt is a minute away."""
    (root / "broken" / "1").mkdir(parents=True)
    (root / "broken" / "1" / "saved_model.pb").write_bytes(b"\x08\x01\x12")
    process = serve(str(root), *PORTS)
    assert predicts(process.address("REST"), "a")
    assert "broken version 1: attempt 1 of 6 to load it failed" in process.output
    assert process.end() == 0
