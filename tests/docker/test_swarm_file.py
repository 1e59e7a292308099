"""What deploy/swarm.yml says, without an engine: the same as docker-compose.yml, and how a replica ends."""

import json
import os
import re
import signal
import subprocess
import time

import pytest

from tests.support.docker.stack import COMPOSE, ROOT

SERVER = """\
#!/bin/bash
trap 'echo told to stop >> "$LOG"; exit 7' TERM
echo started with "$@" >> "$LOG"
while :; do /bin/sleep 0.05; done
"""


def serving(*files: str) -> dict:
    """What Compose reads of the service."""
    command = [COMPOSE, *(word for file in files for word in ("-f", ROOT / file)), "config", "--format=json"]
    environment = {"PATH": os.environ["PATH"]}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    return json.loads(done.stdout)["services"]["serving"]


def test_it_is_tuned_as_docker_compose_yml():
    """But for what the comments of swarm.yml explain."""
    compose, swarm = serving("docker-compose.yml"), serving("deploy/swarm.yml")
    for key in ("image", "user", "read_only", "cap_drop"):
        assert swarm[key] == compose[key], key
    assert {**swarm["healthcheck"], "test": ""} == {**compose["healthcheck"], "test": ""}
    only_here = [flag for flag in swarm["command"] if flag not in compose["command"]]
    assert [flag.partition("=")[0] for flag in only_here] == ["--model_config_file", "--grpc_channel_arguments"]
    there = [flag for flag in compose["command"] if flag not in swarm["command"]]
    assert [flag.partition("=")[0] for flag in there] == [
        "--model_config_file",
        "--model_config_file_poll_wait_seconds",
    ]
    limits = swarm["deploy"]["resources"]["limits"]
    assert limits == {"memory": compose["mem_limit"], "pids": compose["pids_limit"]}


def test_its_ports_are_open_only_when_asked_for():
    assert "ports" not in serving("deploy/swarm.yml")
    published = serving("deploy/swarm.yml", "deploy/swarm.published.yml")["ports"]
    assert {(port["target"], port["mode"]) for port in published} == {(8500, "ingress"), (8501, "ingress")}


@pytest.mark.parametrize(("health", "between"), [("exit 0", ["wait 75"]), ("exit 1", [])])
def test_a_healthy_server_is_told_to_stop_after_the_drain(tmp_path, health, between):
    """The entry point's own script, with programs that keep a log in the places of the server and of `sleep`."""
    programs = {"tensorflow_model_server": SERVER, "sleep": '#!/bin/bash\necho wait "$@" >> "$LOG"\n'}
    for name, text in programs.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    (tmp_path / "healthcheck.sh").write_text(f'echo asked for its health >> "$LOG"\n{health}\n')
    service, log = serving("deploy/swarm.yml"), tmp_path / "log"
    command = [word.replace("$$", "$").replace("/config/", f"{tmp_path}/") for word in service["entrypoint"]]
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "LOG": str(log)}
    process = subprocess.Popen([*command, "--a=1", "--b=2"], env=environment)
    while not log.exists():
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 7
    expected = ["started with --a=1 --b=2", "asked for its health", *between, "told to stop"]
    assert log.read_text().splitlines() == expected
    (drain,) = re.findall(r"sleep (\d+)", command[2])
    assert service["stop_grace_period"] == "2m0s"
    assert int(drain) + 30 < 120  # requests under way may take 30 s more, by the servers' own flags
