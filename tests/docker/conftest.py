"""One engine and one stack for all tests of this folder, and the sites that the same tests run on."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.docker.engine import NoEngine, engine
from tests.support.docker.readme import Commands
from tests.support.docker.sites import ProcessSite
from tests.support.docker.stack import ROOT, Stack


def pytest_configure() -> None:
    """Whoever ends the run gets the engine, the containers and the mounts taken down as well."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.fixture(scope="session")
def docker_host() -> Iterator[str]:
    """An engine's address; skips with the reason where there can be none."""
    running = engine()
    try:
        host = running.__enter__()
    except NoEngine as error:
        pytest.skip(f"needs a Docker engine: {error}")
    yield host
    running.__exit__(None, None, None)


@pytest.fixture(scope="session")
def commands() -> Commands:
    """The README's commands for the stack; what they print is kept."""
    return Commands((ROOT / "README.md").read_text())


@pytest.fixture(scope="session")
def stack(docker_host, commands, tmp_path_factory) -> Iterator[Stack]:
    """The stack, brought up by the README's `docker compose up`."""
    under_test = Stack(docker_host, tmp_path_factory.mktemp("stack"))
    up = commands.start_in_background("docker compose up", under_test)
    try:
        under_test.wait_for_health(timeout=300)
        yield under_test
    finally:
        under_test.down()
        up.wait(60)
        under_test.remove_stand_ins()


@pytest.fixture(scope="session")
def models(request, tmp_path_factory) -> Path:
    """A repository with version 1 of the digits: the stack's, or without an engine one made here."""
    try:
        return request.getfixturevalue("stack").models
    except pytest.skip.Exception:
        folder = tmp_path_factory.mktemp("trained")
        command = [sys.executable, "-m", "modelport"]
        train = ["train", "sequential", "--output", "run"]
        publish = ["publish", "run", "--name", "digits", "--repository", "models"]
        for words in (train, publish):
            subprocess.run([*command, *words], cwd=folder, check=True, capture_output=True, timeout=200)
        return folder / "models"


@pytest.fixture(scope="session", params=["process", "stand-in", "real image", "tensorflow_model_server"])
def site(request, tmp_path_factory):
    """A server of a repository that tests may change, each in turn; skips what is not to be had here."""
    if request.param in ("stand-in", "real image"):
        stack = request.getfixturevalue("stack")
        if stack.is_real != (request.param == "real image"):
            pytest.skip(
                f"the engine has the real image: {stack.on}"
                if stack.is_real
                else "needs an engine that has the image that SERVING_IMAGE names"
            )
        yield stack
        return
    folder = tmp_path_factory.mktemp("site")
    try:
        make = ProcessSite.embedded if request.param == "process" else ProcessSite.binary
        process = make(folder)
    except LookupError as error:
        pytest.skip(str(error))
    source = request.getfixturevalue("models") / "digits" / "1"
    shutil.copytree(source, process.models / "digits" / "1")
    text = (ROOT / "serving/config/models.config").read_text()
    process.config.write_text(text.replace('"/models/digits"', f'"{process.models}/digits"'))
    process.start()
    yield process
    process.stop()


@pytest.fixture(autouse=True)
def on_what(request) -> None:
    """Every result is labelled with the server that it holds for."""
    for name in ("site", "stack", "swarm"):
        if name in request.fixturenames:
            request.node.user_properties.append(("server", request.getfixturevalue(name).on))
            return


def pytest_terminal_summary(terminalreporter) -> None:
    """A table of what was exercised on what."""
    reports = [r for kind in ("passed", "failed") for r in terminalreporter.stats.get(kind, []) if r.when == "call"]
    for report in reports:
        told = dict(report.user_properties)
        if server := told.get("server"):
            terminalreporter.write_line(f"{report.outcome:7} {report.head_line:65} on {server}")
        if requests := told.get("requests"):
            terminalreporter.write_line(f"{'':8}{requests}")
