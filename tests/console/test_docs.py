"""The commands of docs/console.md are run, in order, in one shell; what it says of the command line is so."""

import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from modelport_console import cli

ROOT = Path(__file__).parent.parent.parent
TEXT = (ROOT / "docs/console.md").read_text()


def taken(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.slow
def test_the_commands_of_the_page(tmp_path, seven_files):
    busy = [port for port in (8500, 8501, cli.PORT) if taken(port)]
    if busy:
        pytest.skip(f"the page's commands use ports 8500, 8501 and {cli.PORT}; in use here: {busy}")
    shutil.copytree(seven_files, tmp_path / "models/digits/1")
    shutil.copytree(ROOT / "serving/config", tmp_path / "serving/config")
    blocks = re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)
    wait = f"until curl -s http://127.0.0.1:{cli.PORT}/healthz; do sleep 0.1; done\n"
    script = "set -euo pipefail\ntrap 'kill $(jobs -p) 2>/dev/null; wait' EXIT\n" + wait.join(blocks)
    result = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"},
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Console  http://127.0.0.1:8600/?token=" in result.stdout
    assert result.stdout.splitlines()[-2:] == ["ok", "401"]


def test_every_option_is_one():
    options = {word for action in cli._parser()._actions for word in action.option_strings}
    named = set(
        re.findall(r"(?<![\w-])(--(?:server|rest|metrics|model|config|host|port|allow|read|no-read)[\w-]*)", TEXT)
    )
    foreign = {"--rest_api_port", "--monitoring_config_file"}
    assert named - foreign <= options
    assert options - {"-h", "--help", "--host", "--port"} <= named


def test_the_figures_of_the_page_are_those_of_the_code():
    from modelport_console.guard import MOST_BODY_BYTES
    from modelport_console.live.feed import MOST_VIEWERS
    from modelport_console.settings import LEAST_TOKEN
    from modelport_console.watching.traffic import KEPT_S
    from modelport_console.watching.watcher import PACE_S, SLOW_PACE_S

    assert f"at most {MOST_BODY_BYTES // 2**20} MB, open pages at most {MOST_VIEWERS}" in TEXT
    assert (PACE_S, SLOW_PACE_S, KEPT_S, LEAST_TOKEN) == (2, 15, 600, 16)
