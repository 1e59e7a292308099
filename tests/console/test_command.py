"""`modelport console` as a person starts it: its refusals, in a line, and what it weighs."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from modelport_console import guard
from tests.support.ports import free_port

PACKAGE = Path(guard.__file__).parent
MOST_MEMORY_MB = 80
MOST_SCRIPT_BYTES = 60_000


def run(*flags: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "modelport", "console", *flags],
        capture_output=True, text=True, timeout=60, check=False, env={**os.environ, **environment},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["/nowhere/at/all"], "which does not exist"),
        ([__file__], "which is a file"),
        (
            ["--server", "localhost:8500", "--rest", "http://a:1", "--rest", "http://b:2"],
            "at most one --rest for each server",
        ),
        (["--server", "http://"], "Expected http://HOST:PORT for --server"),
        (["--rest", "localhost:8501"], "Expected http://HOST:PORT for --rest"),
        (["--server", "localhost:99999"], "at most 65535"),
        (["--port", "99999"], "below 65536"),
        (["--host", "192.0.2.1"], "Cannot listen on 192.0.2.1:8600"),
    ],
)
def test_what_cannot_be_started_says_why_in_a_line(flags, words):
    result = run(*flags)
    assert result.returncode == 1
    assert words in result.stderr
    assert result.stderr.startswith("modelport console: ")
    assert len(result.stderr.splitlines()) == 1
    assert "token=" not in result.stdout


def test_a_port_in_use_is_told():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        result = run("--port", str(taken.getsockname()[1]))
    assert result.returncode == 1
    assert "Choose another port with --port" in result.stderr


def test_a_weak_token_is_refused():
    result = run(MODELPORT_CONSOLE_TOKEN="short")
    assert result.returncode == 1
    assert "openssl rand" in result.stderr


def test_it_is_light_and_has_no_tensorflow(console):
    for path in ("/", "/models/digits", "/models/digits/try", "/doctor/findings", "/openapi.json"):
        assert console.ask("GET", path).status == 200
    assert console.change("/models/affine/plan", {"action": "promote", "version": 1}).status == 200
    process = Path(f"/proc/{console.process.pid}")
    memory = int(re.search(r"VmRSS:\s+(\d+) kB", (process / "status").read_text())[1]) / 1000
    print(f"memory: {memory:.0f} MB")
    assert "tensorflow" not in (process / "maps").read_text()
    assert memory < MOST_MEMORY_MB


def test_the_browsers_code_is_small():
    size = sum(path.stat().st_size for path in (PACKAGE / "static").iterdir())
    print(f"scripts and styles: {size:,} bytes")
    assert size < MOST_SCRIPT_BYTES


def test_nothing_in_a_page_is_from_elsewhere():
    for path in [*PACKAGE.glob("templates/*"), *PACKAGE.glob("static/*")]:
        found = set(re.findall(r"(?:https?:)?//[\w.-]+\.\w+", path.read_text())) - {"http://www.w3.org"}
        assert not found, f"{path.name} names {found}"
        assert " style=" not in path.read_text()
        assert "onclick=" not in path.read_text()


def test_it_says_that_nobody_answers_and_goes_on(start_console, tmp_path):
    (tmp_path / "empty").mkdir()
    console = start_console(str(tmp_path / "empty"), "--server", f"localhost:{free_port()}")
    page = console.ask("GET", "/").data.decode()
    assert "does not answer" in page
    assert "modelport publish" in page
