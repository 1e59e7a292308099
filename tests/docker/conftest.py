"""One engine and one stack for all tests of this folder."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from engine import NoEngine, engine
from stack import Stack


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
def stack(docker_host, tmp_path_factory) -> Iterator[Stack]:
    """The stack, brought up by `docker compose up`; every test says on which image it ran."""
    under_test = Stack(docker_host, tmp_path_factory.mktemp("stack"))
    under_test.compose("up", "--detach", "--wait", "--no-build", "serving", timeout=400)
    yield under_test
    under_test.compose("down", "--volumes", "--timeout", "20")
    left = under_test.docker("ps", "-aq", "--filter", f"label=com.docker.compose.project={under_test.project}").stdout
    assert not left, "containers left behind"


@pytest.fixture(autouse=True)
def on_what(request) -> None:
    """Every result is labelled with the server that it holds for."""
    if "stack" in request.fixturenames:
        request.node.user_properties.append(("server", request.getfixturevalue("stack").on))


def pytest_terminal_summary(terminalreporter) -> None:
    """A table of what was exercised on what."""
    reports = [r for kind in ("passed", "failed") for r in terminalreporter.stats.get(kind, []) if r.when == "call"]
    for report in reports:
        if server := dict(report.user_properties).get("server"):
            terminalreporter.write_line(f"{report.outcome:7} {report.head_line:60} on {server}")
