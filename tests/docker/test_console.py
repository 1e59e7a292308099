"""The console's profile beside the stack: it sees the server by its name, runs hardened, and changes nothing."""

import re
import urllib.error
import urllib.request

import pytest

from tests.support.ports import free_port

pytestmark = pytest.mark.timeout(300)
PROFILE = ("--profile", "console")
TOKEN = "of-the-tests-of-the-stack"


@pytest.fixture(scope="module")
def console(stack):
    """Its address."""
    port = free_port()
    stack.environment |= {"CONSOLE_PORT": str(port), "MODELPORT_CONSOLE_TOKEN": TOKEN}
    stack.compose(*PROFILE, "up", "--detach", "--wait", "--no-build", "--pull=never", "--no-deps", "console")
    yield f"http://127.0.0.1:{port}"
    stack.compose(*PROFILE, "rm", "--stop", "--force", "console")


def ask(url: str, data: bytes | None = None) -> tuple[int, str]:
    headers = {"Authorization": f"Bearer {TOKEN}", "X-Modelport-Console": "1"}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_it_sees_the_server_and_changes_nothing(stack, console):
    status, page = ask(console)
    assert status == 200
    assert re.search(r"\d AVAILABLE", page)
    assert "read-only" in page
    assert ask(f"{console}/models/digits/changes", b'{"action": "pin", "version": 1}')[0] in (404, 405)
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(console, timeout=20)
    assert f"?token={TOKEN}" in stack.compose(*PROFILE, "logs", "console").stdout
