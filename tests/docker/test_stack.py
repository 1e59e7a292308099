"""What only the stack has: its commands, its hardening, its jobs, and the network and volumes between its parts."""

import json
import subprocess
import time
import urllib.request

import pytest

from modelport_client import Client
from tests.support.docker.asking import IMAGE, eventually
from tests.support.docker.readme import skeleton
from tests.support.docker.stack import ROOT

pytestmark = pytest.mark.timeout(400)


def test_it_comes_up_as_the_readme_shows(stack, commands):
    printed = skeleton((stack.folder / "up.log").read_text())
    shown = skeleton(commands.shown["docker compose up"])
    assert shown
    assert [line for line in shown if line != "…" and not any(line in one for one in printed)] == []


def test_predictions_from_another_container_as_the_readme_shows(stack, commands):
    printed = commands.run("docker compose run --rm query", stack)
    assert "│ 7     │" in printed
    assert skeleton(printed) == skeleton(commands.shown["docker compose run --rm query"])


def test_it_runs_hardened(stack):
    facts = stack.inspect()
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


def publish_into(stack, mount: str) -> subprocess.CompletedProcess:
    """Publish the run that the stack trained once more, into the repository that is mounted as /other."""
    job = ["run", "--rm", "--no-deps", "--volume", mount, "--entrypoint", "modelport", "train"]
    return stack.compose(*job, "publish", "/runs/compose", "--name", "other", "--repository", "/other", check=False)


def test_a_repository_that_is_read_only(stack):
    done = publish_into(stack, f"{stack.models}:/other:ro")
    assert done.returncode == 1
    assert "Read-only file system" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (stack.models / "other").exists()


def test_a_repository_that_is_full(stack):
    name = f"{stack.project}-full"
    small = ["--opt", "type=tmpfs", "--opt", "device=tmpfs", "--opt", "o=size=200k"]
    stack.docker("volume", "create", *small, name)
    try:
        done = publish_into(stack, f"{name}:/other")
        assert done.returncode == 1
        assert "No space left on device" in done.stderr
        assert "Traceback" not in done.stderr
    finally:
        stack.docker("volume", "rm", name)
    with Client(stack.grpc) as client:
        assert client.predict("digits", IMAGE).version == 1


def in_container(stack, command: str, *arguments: str) -> subprocess.Popen:
    """A `modelport` command in a container of its own on the stack's network; prints JSON."""
    job = ["run", "--rm", "--no-deps", "--name", f"{stack.project}-client", "--entrypoint", "modelport", "query"]
    return subprocess.Popen(
        ["docker", "compose", *job, command, *arguments, "--json"],
        env=stack.environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def request_count(stack, container: str) -> float:
    """How many predictions a replica has answered, by its own metrics, read from inside."""
    request = "GET /monitoring/prometheus/metrics HTTP/1.1\\r\\nHost: l\\r\\nConnection: close\\r\\n\\r\\n"
    script = f"exec 3<>/dev/tcp/127.0.0.1/8501; printf '{request}' >&3; cat <&3"
    lines = stack.docker("exec", container, "bash", "-c", script).stdout.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(":tensorflow:serving:request_count{"))


LOAD = ["digits", "--image", "/opt/modelport/seven.png", "--rate", "30", "--timeout", "60"]


def test_the_network_is_cut_and_restored(stack):
    """Requests wait for it, and none is lost; those on the connection that died are asked again on a new one."""
    network = f"{stack.project}_default"
    container = stack.containers()[0]
    before = request_count(stack, container)
    load = in_container(stack, "loadtest", *LOAD, "--server", "serving:8500", "--seconds", "25")
    eventually(lambda: request_count(stack, container) > before + 30)
    stack.docker("network", "disconnect", network, container)
    cut = request_count(stack, container)
    time.sleep(7)
    still = request_count(stack, container)
    assert still < cut + 30, "requests came through the cut"  # some had come in before, and 200 would have since
    stack.docker("network", "connect", "--alias", "serving", network, container)
    out, err = load.communicate(timeout=120)
    facts = json.loads(out)
    assert facts["failed"] == 0, facts
    assert load.returncode == 0, err
    assert request_count(stack, container) > still + 30


@pytest.fixture
def replicas(stack, docker_host, tmp_path):
    """Three servers behind one name, beside the stack and on its models."""
    three = type(stack)(docker_host, tmp_path, "modelport-three", stack.models, "deploy/compose.replicas.yml")
    three.compose("up", "--detach", "--wait", "--no-build", "serving")
    yield three
    three.down()


def test_three_replicas_behind_a_name_and_one_is_killed(replicas):
    """The client goes round all three; the loss of one costs no request."""
    containers = replicas.containers()
    assert len(containers) == 3
    load = in_container(replicas, "loadtest", *LOAD, "--server", "dns:///serving:8500", "--seconds", "15")
    deadline = time.monotonic() + 60
    while min(counts := [request_count(replicas, one) for one in containers]) < 10:
        assert time.monotonic() < deadline, f"not all are asked: {counts}"
        time.sleep(0.5)
    assert max(counts) < 3 * min(counts)
    replicas.docker("kill", containers[0])
    out, err = load.communicate(timeout=120)
    facts = json.loads(out)
    assert facts["failed"] == 0, facts
    assert load.returncode == 0, err
    assert all(request_count(replicas, one) > 2 * max(counts) for one in containers[1:])


def test_a_wrong_model_name_turns_the_stack_unhealthy_with_the_reason(stack, docker_host, tmp_path):
    """It does not hang: Compose's wait ends, and the reason stands where one looks for it."""
    wrong = type(stack)(docker_host, tmp_path, "modelport-wrong", stack.models)
    wrong.config.write_text(wrong.config.read_text().replace('"digits"', '"digitz"').replace("/digits", "/digitz"))
    wrong.environment["SERVING_START_PERIOD"] = "1s"
    try:
        done = wrong.compose("up", "--detach", "--wait", "--no-build", "serving", check=False)
        assert done.returncode == 1
        assert "unhealthy" in done.stderr
        health = wrong.wait_for_health("unhealthy")
        said = health["Log"][-1]["Output"] + wrong.compose("logs", "serving").stdout
        assert "no model is ready yet" in said
        assert "digitz" in said
    finally:
        wrong.down()
