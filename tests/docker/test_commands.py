"""`modelport up | ps | logs | down` and `serve --container` on a real engine, and every way in which they cannot."""

import signal
import socket
import subprocess
import sys

import psutil
import pytest

from modelport_client import Client
from tests.support.docker.asking import IMAGE, eventually
from tests.support.docker.stack import ROOT, SERVING
from tests.support.ports import free_port

pytestmark = pytest.mark.timeout(300)
MODELPORT = [sys.executable, "-m", "modelport"]


def command(stack, *words, check=False, **environment):
    environment = {**stack.environment, **environment}
    done = subprocess.run(
        [*MODELPORT, *words], env=environment, cwd=ROOT, capture_output=True, text=True, timeout=200, check=False
    )
    assert not check or done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture
def other(stack, docker_host, tmp_path):
    """A second stack, on the first one's models."""
    second = type(stack)(docker_host, tmp_path, "modelport-other", stack.models)
    yield second
    second.down()


def test_up_ps_logs_down(other):
    up = command(other, "up", check=True)
    assert "nothing to train" in up.stdout
    assert f"gRPC  127.0.0.1:{other.grpc_port}" in up.stdout
    assert other.inspect()["HostConfig"]["LogConfig"] == {
        "Type": "json-file",
        "Config": {"max-file": "3", "max-size": "10m"},
    }
    with Client(other.grpc) as client:
        assert client.predict("digits", IMAGE).version == 1
    assert "(healthy)" in command(other, "ps", check=True).stdout
    assert "serving-1" in command(other, "logs", "serving", "--tail", "5", check=True).stdout
    begun = other.inspect()["State"]["StartedAt"]
    command(other, "up", check=True)
    other.compose("up", "--detach", "--wait", "serving")
    assert other.inspect()["State"]["StartedAt"] == begun, "what runs is left alone, whichever of the two brought it up"
    elsewhere = command(other, "up", "embedded")
    assert "'serving' of this stack has it: 'modelport down' first" in last_line(elsewhere)
    command(other, "down", "--volumes", check=True)
    assert other.containers() == []


def test_an_image_of_our_own_is_built_and_not_looked_for_elsewhere(other, tmp_path):
    """As on a fresh checkout, where `embedded` has the image that is built for `train`."""
    base = other.environment.get("SERVING_IMAGE", SERVING)
    (tmp_path / "Dockerfile").write_text(f'FROM {base}\nENTRYPOINT ["bash", "-c"]\n')
    (tmp_path / "docker-compose.yml").write_text(
        "services:\n"
        "  train: {build: ., image: modelport-test-own, command: ['echo trained']}\n"
        "  embedded: {image: modelport-test-own, command: ['while :; do read -t 1 < /dev/zero; done'], init: true,\n"
        f"    ports: ['127.0.0.1:{other.grpc_port}:8500', '127.0.0.1:{other.rest_port}:8501']}}\n"
    )
    file = ["--file", str(tmp_path / "docker-compose.yml")]
    try:
        done = command(other, "up", *file, "embedded", check=True)
        assert "trained" in done.stdout
        assert f"--server 127.0.0.1:{other.grpc_port}" in done.stdout
    finally:
        command(other, "down", *file, check=True)
        other.docker("rmi", "modelport-test-own")


def test_a_configuration_that_the_server_cannot_read(other):
    other.config.chmod(0o600)
    done = command(other, "up")
    assert done.returncode == 1
    assert f"chmod -R o+rX {other.config.parent}" in last_line(done)


def test_up_says_why_the_server_is_not_healthy(other):
    other.config.write_text(other.config.read_text().replace('"digits"', '"digitz"').replace("/digits", "/digitz"))
    done = command(other, "up", "--timeout", "60", SERVING_START_PERIOD="1s")
    assert done.returncode == 1
    assert "serving is unhealthy" in done.stderr
    assert "no model is ready yet" in done.stderr
    assert "digitz" in done.stderr
    assert "embedded server" in done.stderr


def last_line(done):
    return done.stderr.strip().splitlines()[-1]


def test_a_port_in_use(other):
    with socket.create_server(("127.0.0.1", other.rest_port)):
        done = command(other, "up")
        assert done.returncode == 1
        assert f"Port {other.rest_port} on 127.0.0.1" in last_line(done)
        assert "SERVING_GRPC_PORT=9500" in last_line(done)


def container_flags(stack):
    grpc_port, rest_port = free_port(), free_port()
    flags = [
        "serve", "--container", "--model_name=digits", f"--model_base_path={stack.models}/digits",
        f"--port={grpc_port}", f"--rest_api_port={rest_port}",
    ]  # fmt: skip
    if stack.is_real:
        return [*flags, f"--image={stack.environment['SERVING_IMAGE']}"], grpc_port
    mounts = {"STANDIN_PACKAGES": "/opt/standin/site-packages", "STANDIN_SOURCE": "/opt/standin/source"}
    volumes = [f"--volume={stack.environment[name]}:{inside}" for name, inside in mounts.items()]
    return [*flags, f"--image={SERVING}", *volumes], grpc_port


class Running:
    """`modelport serve --container` as a user's terminal has it."""

    def __init__(self, stack, flags):
        self.log = stack.folder / f"container-{len(list(stack.folder.iterdir()))}.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [*MODELPORT, *flags], env=stack.environment, stdout=log, stderr=subprocess.STDOUT
            )

    def says(self, text):
        return text in self.log.read_text()

    def wait_until_ready(self):
        eventually(lambda: self.says("Stop with Ctrl-C.\n") and self.says("Container modelport-serve"), 90)

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.process.wait(60)


def ours(stack):
    kinds = (["ps", "--all"], ["network", "ls"])
    return [stack.docker(*kind, "--quiet", "--filter", "label=modelport.serve").stdout for kind in kinds]


def test_a_container_served_watched_and_stopped(stack):
    flags, port = container_flags(stack)
    running = Running(stack, flags)
    running.wait_until_ready()
    with Client(f"127.0.0.1:{port}") as client:
        assert client.predict("digits", IMAGE).version == 1
    facts = stack.inspect(f"modelport-serve-{port}")
    assert facts["HostConfig"]["ReadonlyRootfs"]
    assert facts["Config"]["User"] == "65534:65534"
    assert running.end(signal.SIGINT) == 0
    assert running.says("Stopped.")
    assert ours(stack) == ["", ""]


def test_a_container_that_dies_is_told_with_its_exit_code(stack):
    flags, port = container_flags(stack)
    running = Running(stack, flags)
    running.wait_until_ready()
    for process in psutil.Process(stack.inspect(f"modelport-serve-{port}")["State"]["Pid"]).children(recursive=True):
        process.kill()
    assert running.process.wait(60) == 1
    assert running.says("container: die, exit code 137")
    assert running.says("ended by itself")
    assert ours(stack) == ["", ""]


def test_leftovers_of_an_earlier_run(stack):
    flags, port = container_flags(stack)
    first = Running(stack, flags)
    first.wait_until_ready()
    first.end(signal.SIGKILL)
    again = command(stack, *flags)
    assert again.returncode == 1
    name = f"modelport-serve-{port}"
    assert f"docker rm --force {name}" in again.stderr
    stack.docker("stop", "--time", "20", name)
    second = Running(stack, flags)
    second.wait_until_ready()
    assert second.says(f"Removed '{name}', which an earlier run left behind (exited).")
    second.end(signal.SIGKILL)
    stack.docker("rm", "--force", name)  # as it was told above
    third = Running(stack, flags)
    third.wait_until_ready()
    assert third.end() == 0
    assert ours(stack) == ["", ""]


def test_a_container_that_is_taken_away_leaves_nothing(stack):
    flags, port = container_flags(stack)
    running = Running(stack, flags)
    running.wait_until_ready()
    stack.docker("rm", "--force", f"modelport-serve-{port}")
    assert running.process.wait(60) == 1
    assert running.says("ended by itself")
    assert not running.says("Traceback")
    assert ours(stack) == ["", ""]


def test_a_model_that_never_comes(stack, tmp_path):
    flags, _ = container_flags(stack)
    (tmp_path / "empty").mkdir()
    wanted = [f"--model_base_path={tmp_path}/empty" if "base_path" in flag else flag for flag in flags]
    done = command(stack, *wanted, "--wait_seconds=15")
    assert done.returncode == 1
    assert "Not ready within 15 s" in done.stderr
    assert "No versions" in done.stderr
    assert ours(stack) == ["", ""]


def test_an_image_that_is_nowhere(stack):
    flags, _ = container_flags(stack)
    done = command(stack, *flags, "--image=127.0.0.1:9/nothing:0")  # a name would have to be looked up
    assert done.returncode == 1
    assert "The image 127.0.0.1:9/nothing:0 is not here and cannot be pulled" in last_line(done)
    assert "the embedded server" in last_line(done)
