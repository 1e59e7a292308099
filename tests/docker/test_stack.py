"""docker-compose.yml brought up by a real engine, used, and broken."""

import json
import os
import shutil
import signal
import threading
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
import pytest

from modelport.errors import ModelportError
from modelport_client import Client

pytestmark = pytest.mark.timeout(500)
SEVEN = Path(__file__).parent.parent.parent / "docs" / "seven.png"
IMAGE = {"image": np.zeros((1, 28, 28), np.uint8)}


def eventually(condition, timeout=60):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.2)


@contextmanager
def asking(stack, pause=0.01):
    """Ask without end from a thread; gives the versions that answered and the errors."""
    versions, errors, ending = [], [], threading.Event()

    def ask():
        with Client(stack.grpc, timeout=30) as client:
            while not ending.wait(pause):
                try:
                    versions.append(client.predict("digits", IMAGE).version)
                except ModelportError as error:
                    errors.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    try:
        yield versions, errors
    finally:
        ending.set()
        thread.join(30)


def add_version(stack, number):
    """Another version: a copy of the first under the next number, put in place by a rename."""
    aside = stack.models / "digits" / f".copy-{number}"
    shutil.copytree(stack.models / "digits" / "1", aside)
    aside.rename(stack.models / "digits" / str(number))


def test_predictions_from_the_host(stack):
    for target in (stack.grpc, stack.rest):
        with Client(target, timeout=30) as client:
            assert client.predict("digits", SEVEN)["label"].tolist() == [b"7"]


def test_predictions_from_another_container(stack):
    done = stack.compose("run", "--rm", "--no-deps", "query")
    assert done.stdout.count("/opt/modelport/seven.png") == 2
    assert "AVAILABLE" in done.stdout


def test_it_runs_hardened(stack):
    facts = json.loads(stack.docker("inspect", stack.container()).stdout)[0]
    host = facts["HostConfig"]
    assert host["ReadonlyRootfs"]
    assert host["CapDrop"] == ["ALL"]
    assert "no-new-privileges:true" in host["SecurityOpt"]
    assert facts["Config"]["User"] == "65534:65534"
    assert host["Memory"] > 0
    assert host["PidsLimit"] > 0
    assert {binding["HostIp"] for ports in host["PortBindings"].values() for binding in ports} == {"127.0.0.1"}
    assert {mount["Destination"]: mount["RW"] for mount in facts["Mounts"]}["/models"] is False


def test_the_metrics_page_is_there(stack):
    with urllib.request.urlopen(f"{stack.rest}/monitoring/prometheus/metrics", timeout=10) as page:
        assert b":tensorflow:serving:request_count" in page.read()


def test_a_second_train_does_nothing(stack):
    assert "nothing to train" in stack.compose("run", "--rm", "train").stdout


def test_a_new_version_takes_over_under_load(stack):
    with asking(stack) as (versions, errors):
        eventually(lambda: versions)
        add_version(stack, 2)
        eventually(lambda: versions[-1] == 2)
    assert not errors
    assert sorted(set(versions)) == [1, 2]


def test_a_broken_version_beside_a_good_one(stack):
    broken = stack.models / "digits" / "3"
    broken.mkdir()
    (broken / "saved_model.pb").write_bytes(b"\x08\x01\x12\xff")
    try:
        with Client(stack.grpc) as client:
            eventually(lambda: {s.version: s.state for s in client.status("digits")}.get(3) == "END")
            assert client.predict("digits", IMAGE).version == 2
    finally:
        shutil.rmtree(broken)
    assert stack.wait_for_health("healthy")


def test_deleting_the_newest_rolls_back(stack):
    shutil.rmtree(stack.models / "digits" / "2")
    with Client(stack.grpc) as client:
        eventually(lambda: client.predict("digits", IMAGE).version == 1)


def test_a_restart_under_load_loses_only_what_is_refused(stack):
    with asking(stack) as (versions, errors):
        eventually(lambda: versions)
        stack.compose("restart", "--timeout", "30", "serving")
        stack.wait_for_health("healthy")
        before = len(versions)
        eventually(lambda: len(versions) > before)
    assert all(error.code.name == "UNAVAILABLE" for error in errors), errors[:3]


def test_a_killed_server_is_started_again_by_the_engine(stack):
    init = psutil.Process(stack.state()["Pid"])
    restarts = json.loads(stack.docker("inspect", stack.container()).stdout)[0]["RestartCount"]
    for process in init.children(recursive=True):
        os.kill(process.pid, signal.SIGKILL)
    eventually(lambda: json.loads(stack.docker("inspect", stack.container()).stdout)[0]["RestartCount"] > restarts)
    stack.wait_for_health("healthy")
    with Client(stack.grpc) as client:
        assert client.predict("digits", IMAGE).version == 1


def test_a_wrong_model_name_turns_unhealthy_with_the_reason(stack, docker_host):
    """Beside the stack: the same container with a configuration that names a model which is not there."""
    config = stack.folder / "config"
    shutil.copytree(Path(__file__).parent.parent.parent / "serving" / "config", config)
    text = (config / "models.config").read_text()
    (config / "models.config").write_text(
        text.replace('"digits"', '"digitz"').replace("/models/digits", "/models/digitz")
    )
    done = stack.compose("run", "--rm", "--no-deps", "-v", f"{config}:/config:ro", "--entrypoint", "bash", "serving",
                         "/config/healthcheck.sh", check=False)  # fmt: skip
    assert done.returncode == 1
    assert "nothing listens on port 8501" in done.stdout
    script = "sed s/digits/digitz/ /config/models.config > /tmp/m; bash /config/healthcheck.sh 8501 /tmp/m"
    inside = stack.docker("exec", stack.container(), "bash", "-c", script, check=False)
    assert inside.returncode == 1
    assert "model digitz has no AVAILABLE version" in inside.stdout
