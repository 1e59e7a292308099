"""docker-compose.yml as Compose reads it; nothing is started here."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from modelport_serving.docker import images

ROOT = Path(__file__).parent.parent.parent
COMPOSE = Path(sys.executable).with_name("docker-compose")


def config(*arguments: str, **environment: str) -> dict:
    result = subprocess.run(
        [str(COMPOSE), "--project-directory", str(ROOT), *arguments, "config", "--format", "json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PATH": "/usr/bin:/bin", **environment},
    )
    assert result.returncode == 0, result.stderr
    assert not result.stderr, result.stderr
    return json.loads(result.stdout)


def test_compose_accepts_the_file():
    services = config("--profile", "query")["services"]
    assert set(services) == {"train", "serving", "query"}


def test_the_server_matches_our_tensorflow():
    image = config()["services"]["serving"]["image"]
    assert image == images.SERVING
    tag = image.partition(":")[2]
    constraints = (ROOT / "constraints.txt").read_text()
    pins = re.findall(r"^tensorflow(|_cpu)==(\S+)$", constraints, re.MULTILINE)  # for arm64 and for amd64
    assert pins == [("", tag), ("_cpu", tag)]


def test_every_profile_is_accepted():
    services = set(config("--profile", "*")["services"])
    assert {"train", "serving", "serving-gpu", "embedded", "query", "tensorboard", "console"} <= services


def test_the_image_can_be_replaced():
    assert config(SERVING_IMAGE="local/serving:1")["services"]["serving"]["image"] == "local/serving:1"


def test_the_server_reads_the_same_files_as_ours(tmp_path):
    from modelport import serverconfig
    from modelport_serving.config import flags

    serving = config()["services"]["serving"]
    folder = next(v["source"] for v in serving["volumes"] if v["target"] == "/config")
    serverconfig.parse_batching(serverconfig.read(Path(folder) / "batching.config"))
    assert serverconfig.parse_monitoring(serverconfig.read(Path(folder) / "monitoring.config")).enable
    assert flags.parse(serving["command"]).model_config_file == "/models/models.config"
    assert serving["healthcheck"]["test"][-1] == "/models/models.config"


def test_ports_are_on_loopback_and_mounts_read_only():
    serving = config()["services"]["serving"]
    assert {port["host_ip"] for port in serving["ports"]} == {"127.0.0.1"}
    assert all(volume["read_only"] for volume in serving["volumes"])


def test_the_console_looks_on_and_changes_nothing_unless_it_is_told():
    console = config("--profile", "console")["services"]["console"]
    serving = config()["services"]["serving"]
    for key in ("read_only", "cap_drop", "security_opt", "user", "tmpfs", "restart"):
        assert console[key] == serving[key]
    assert {"mem_limit", "pids_limit", "healthcheck"} <= set(console)
    assert "--read-only" in console["command"]
    assert {port["host_ip"] for port in console["ports"]} == {"127.0.0.1"}
    assert all(volume["read_only"] for volume in console["volumes"])
    told = config("--profile", "console", CONSOLE_ACCESS="--no-read-only", CONSOLE_MODELS="rw")["services"]["console"]
    assert "--no-read-only" in told["command"]
    assert not any(volume.get("read_only") for volume in told["volumes"])


def test_the_consoles_command_line_is_one():
    from modelport_console import cli

    console = config("--profile", "console")["services"]["console"]
    options = cli._parser().parse_args([*console["entrypoint"][2:], *console["command"]])
    assert (options.read_only, options.server) == (True, ["serving:8500"])


@pytest.mark.parametrize("service", ["train", "query"])
def test_the_jobs_run_commands_that_exist(service):
    from modelport.__main__ import SUBCOMMANDS

    words = " ".join(map(str, config("--profile", "query")["services"][service]["command"]))
    entry = config("--profile", "query")["services"][service]["entrypoint"]
    found = re.findall(r"modelport (\w+)", words) or [words.split()[0]]
    assert entry[0] in ("bash", "modelport")
    assert set(found) <= set(SUBCOMMANDS)


def test_the_version_stands_in_one_place():
    from modelport import __version__

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    images = {config("--profile", "query")["services"][name]["image"] for name in ("train", "query")}
    assert __version__ == project
    assert images == {f"modelport:{project}"}
