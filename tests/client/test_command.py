"""`modelport predict`, `status` and `metadata` as a person and a program see them."""

import json
import subprocess
import sys

import numpy as np
import pytest

pytestmark = pytest.mark.slow  # processes of the command


def run(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "modelport", *arguments], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture(params=["grpc", "rest"])
def address(request, server) -> str:
    return server.grpc_address if request.param == "grpc" else server.rest_address


def test_predict(address):
    result = run("predict", "affine", "--server", address, "--input", "[1, 2, 5]")
    assert result.returncode == 0, result.stderr
    assert "4.5" in result.stdout
    as_json = run("predict", "affine", "--server", address, "--input", '{"x": [1, 2, 5]}', "--json")
    assert json.loads(as_json.stdout)["outputs"] == {"y": [2.5, 3.0, 4.5]}


def test_predict_from_files(address, tmp_path):
    np.save(tmp_path / "x.npy", np.array([4], np.float32))
    (tmp_path / "x.json").write_text("[4]")
    for name in ("x.npy", "x.json"):
        result = run("predict", "affine", "--server", address, "--input", f"@{tmp_path / name}", "--json")
        assert json.loads(result.stdout)["outputs"] == {"y": [4.0]}


def test_status(address):
    result = run("status", "affine", "--server", address)
    assert result.returncode == 0
    assert "AVAILABLE" in result.stdout
    as_json = json.loads(run("status", "affine", "--server", address, "--json").stdout)
    assert as_json == [{"version": 1, "state": "AVAILABLE", "code": "OK", "message": ""}]


def test_metadata(address):
    result = run("metadata", "affine", "--server", address)
    assert "serving_default" in result.stdout
    assert "[?]" in result.stdout
    tensors = json.loads(run("metadata", "affine", "--server", address, "--json").stdout)["tensors"]
    assert {"signature": "serving_default", "kind": "input", "name": "x", "dtype": "float", "shape": "[?]"} in tensors


@pytest.mark.parametrize(
    ("arguments", "words", "code"),
    [
        (["predict", "affine", "--input", "[1"], "Expected JSON for --input", 1),
        (["predict", "affine", "--input", '{"z": [1]}'], "did you mean 'x'?", 1),
        (["predict", "affine", "--image", "/nowhere.png"], "read the image '/nowhere.png'", 1),
        (["predict", "affine"], "give either --image or --input", 2),
        (["status", "nobody"], "Could not find any versions of model nobody", 1),
        (["metadata", "affine", "--version", "9"], "1 (AVAILABLE)", 1),
    ],
)
def test_errors_are_one_line_or_two(server, arguments, words, code):
    result = run(*arguments, "--server", server.grpc_address)
    assert result.returncode == code
    assert words in result.stderr
    assert "Traceback" not in result.stderr


def test_nobody_there():
    result = run("status", "m", "--server", "127.0.0.1:1", "--timeout", "2")
    assert result.returncode == 1
    assert result.stderr.startswith("modelport status: No server answers at 127.0.0.1:1")


def test_the_table_of_subcommands():
    assert "publish" in run("--help").stdout
    wrong = run("pubish")
    assert wrong.returncode == 2
    assert "Did you mean 'publish'?" in wrong.stderr
    assert run("--version").stdout.startswith("modelport 0.")
