"""A repository, an embedded server on it, a console beside both, and a browser in front."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3

from modelport_serving import AUTO, Options, Server
from tests.console import digits
from tests.support import chromium

ROOT = Path(__file__).parent.parent.parent
MONITORING = ROOT / "serving/config/monitoring.config"
WAIT_MS = 20_000  # for what a page is to show


class ConsoleProcess:
    """`modelport console` in a process of its own, asked over its port."""

    def __init__(self, log: Path, *flags: str, environment: dict[str, str] | None = None) -> None:
        self.log = log
        with log.open("w") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "modelport", "console", "--port=auto", *flags],
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
            )
        deadline = time.monotonic() + 30
        while "Stop with" not in log.read_text():
            assert self.process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)
        self.address = log.read_text().split()[1]
        self.url, _, self.token = self.address.partition("/?token=")
        self.pool = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(20))
        while self.ask("GET", "/healthz").status != 200:
            time.sleep(0.02)

    def ask(self, method: str, path: str, *, token: bool = True, **how: Any) -> urllib3.BaseHTTPResponse:
        """A request, as a program sends it."""
        headers = {**({"authorization": f"Bearer {self.token}"} if token else {}), **how.pop("headers", {})}
        return self.pool.request(method, self.url + path, headers=headers, redirect=False, **how)

    def change(self, path: str, content: object) -> Any:
        """A change, as a page of the console sends it."""
        return self.ask("POST", path, json=content, headers={"x-modelport-console": "1"})

    def end(self) -> None:
        self.pool.clear()
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(20)


@pytest.fixture(scope="session")
def model_files(tmp_path_factory) -> Path:
    """Those of all tests that are used here: the others take longer to write than what is tested."""
    from tests.support import models

    root = tmp_path_factory.mktemp("model-files")
    models.affine(root / "affine-2", 2.0)
    models.affine(root / "affine-3", 3.0)
    models.matrix(root / "matrix")
    return root


@pytest.fixture(scope="session")
def seven_files(tmp_path_factory) -> Path:
    """A model that knows digits, see `digits`."""
    return digits.write(tmp_path_factory.mktemp("seven") / "digits")


@pytest.fixture(scope="module")
def repository(tmp_path_factory, model_files, seven_files) -> Path:
    """`digits` and `matrix` with a version, `affine` with two; for the tests of a module."""
    root = tmp_path_factory.mktemp("console") / "models"
    shutil.copytree(seven_files, root / "digits/1")
    shutil.copytree(model_files / "matrix", root / "matrix/1")
    for number, files in ((1, "affine-2"), (2, "affine-3")):
        shutil.copytree(model_files / files, root / "affine" / str(number))
    return root


@pytest.fixture(scope="module")
def embedded(repository) -> Iterator[Server]:
    """The embedded server on the repository, with its Prometheus page."""
    options = Options(
        model_repository=str(repository), port=AUTO, rest_api_port=AUTO, monitoring_config_file=str(MONITORING),
        max_num_load_retries=0, allow_version_labels_for_unavailable_models=True,
    )  # fmt: skip
    with Server(options) as running:
        yield running


@pytest.fixture(scope="module")
def start_console(tmp_path_factory) -> Iterator[Callable[..., ConsoleProcess]]:
    """Start consoles, ended with the tests of a module."""
    started: list[ConsoleProcess] = []
    logs = tmp_path_factory.mktemp("consoles")

    def start(*flags: str, **how: Any) -> ConsoleProcess:
        started.append(ConsoleProcess(logs / f"console-{len(started)}.log", *flags, **how))
        return started[-1]

    yield start
    for one in started:
        one.end()


@pytest.fixture(scope="module")
def console(repository, embedded, start_console) -> ConsoleProcess:
    """A console on the repository and the embedded server; ended before that, which would wait for it."""
    return start_console(str(repository), "--server", embedded.grpc_address, "--rest", embedded.rest_address)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Debian's Chromium, driven by Playwright, which keeps an event loop running in this thread: for a module alone."""
    found = chromium.find()
    if found is None:
        pytest.skip("there is no Chromium here: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def visit(browser) -> Iterator[Callable[..., Any]]:
    """Open a console in a context of its own; what its console said and whom it asked must be in order at the end."""
    contexts, said, asked = [], [], []

    def open_page(console: ConsoleProcess, path: str = "/", **how: Any) -> Any:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **how})
        context.set_default_timeout(WAIT_MS)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{console.url}{path}{'&' if '?' in path else '?'}token={console.token}")
        page.allowed = lambda *texts: said.__setitem__(
            slice(None), [line for line in said if not any(text in line for text in texts)]
        )
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert said == []
    foreign = [url for url in asked if not url.startswith(("http://127.0.0.1:", "blob:http://127.0.0.1:", "data:"))]
    assert foreign == []
