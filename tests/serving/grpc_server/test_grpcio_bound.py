"""The grpcio releases that the server was tried with: the bound in pyproject.toml, and when to try a newer one."""

import asyncio
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import grpc
import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from modelport_serving.grpc_server.port import open_port

ROOT = Path(__file__).parents[3]


@pytest.fixture
def bound():
    with (ROOT / "pyproject.toml").open("rb") as file:
        dependencies = tomllib.load(file)["project"]["dependencies"]
    return next(found for text in dependencies if (found := Requirement(text)).name == "grpcio").specifier


def test_the_installed_release_is_one_that_was_tried(bound):
    """The completion queue stands on a private part of grpcio, which may be another one in any release."""
    assert any(specifier.operator == "<" for specifier in bound), "grpcio needs an upper bound"
    assert Version(grpc.__version__) in bound


def test_the_core_of_the_installed_release_is_known():
    async def open_it():
        return open_port("completion_queue", {}, "")

    asyncio.run(open_it())


@pytest.mark.slow
def test_no_newer_release_waits_to_be_tried(bound):
    """Says so where there is one; the bound is raised when the tests of the wire pass with it."""
    command = [sys.executable, "-m", "pip", "index", "versions", "grpcio", "--disable-pip-version-check"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except subprocess.TimeoutExpired:
        pytest.skip("the package index does not answer")
    newest = re.match(r"grpcio \((\S+)\)", found.stdout)
    if found.returncode or newest is None:
        pytest.skip("the package index cannot be reached")
    if Version(newest[1]) not in bound:
        pytest.xfail(f"grpcio {newest[1]} is out, beyond {bound}: try it, and raise the bound in pyproject.toml")
