"""The image of our own jobs: built from the Dockerfile by a real engine, looked into, and used."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.clients_elsewhere.environments import NO_NETWORK
from tests.support.docker.stack import COMPOSE
from tests.support.ports import free_port

pytestmark = pytest.mark.timeout(590)
ROOT = Path(__file__).parent.parent.parent
DOCKERFILE = (ROOT / "Dockerfile").read_text()
PYTHON = re.search(r"^ARG BASE=(\S+)$", DOCKERFILE, re.MULTILINE)[1]
STANDIN = "modelport-standin-python"
IMAGE = "modelport-test-image"
DATE = "1234567890"
HARDENED = ["--network=none", "--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--security-opt=no-new-privileges:true"]


class Image:
    """The image; `on` says on which base it was built."""

    def __init__(self, host: str) -> None:
        self._environment = {**os.environ, **({"DOCKER_HOST": host} if host else {})}
        if self.docker("image", "inspect", PYTHON, check=False).returncode == 0:
            base, self.on = PYTHON, f"our image on {PYTHON}"
        elif shutil.which("mmdebstrap"):
            base, self.on = STANDIN, f"our image on a stand-in for {PYTHON} (Debian's Python)"
            self.run([str(ROOT / "deploy/standin/python.sh"), STANDIN])
        else:
            pytest.skip(f"the engine has no {PYTHON}, and there is no mmdebstrap to make a stand-in with")
        # BuildKit asks a registry even for what is here; a private engine has no network but the host's.
        self._environment["DOCKER_BUILDKIT"] = "0"
        arguments = [f"BASE={base}", f"SOURCE_DATE_EPOCH={DATE}", "HTTP_PROXY", "HTTPS_PROXY"]
        words = [word for argument in arguments for word in ("--build-arg", argument)]
        build = ["build", "--quiet", "--network=host", "--tag", IMAGE, *words, str(ROOT)]
        built = self.docker(*build, check=False, timeout=550)
        said = built.stdout + built.stderr
        if built.returncode and (no_network := next((word for word in NO_NETWORK if word in said), None)):
            pytest.skip(f"the packages of the image cannot be fetched ({no_network})")
        assert built.returncode == 0, said[-5000:]

    def docker(self, *arguments: str, check: bool = True, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        return self.run(["docker", *arguments], check, timeout)

    def shell(self, script: str) -> str:
        return self.docker("run", "--rm", *HARDENED, "--entrypoint=bash", IMAGE, "-ec", script).stdout

    def run(
        self, command: list[str], check: bool = True, timeout: float = 120, **settings: str
    ) -> subprocess.CompletedProcess[str]:
        environment = {**self._environment, **settings}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=timeout, check=False)
        assert not check or done.returncode == 0, f"{command}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
        return done


@pytest.fixture(scope="module")
def image(docker_host):
    built = Image(docker_host)
    yield built
    built.docker("rmi", "--no-prune", IMAGE)  # its layers stay the cache of the next build, where the engine stays


@pytest.fixture(autouse=True)
def on_what_base(request, image):
    request.node.user_properties.append(("server", image.on))


def test_it_is_not_root_and_cannot_change_itself(image):
    assert image.shell("id") == "uid=65532(modelport) gid=65532(modelport) groups=65532(modelport)\n"
    written = image.docker(
        "run", "--rm", "--network=none", "--entrypoint=touch", IMAGE, "/opt/modelport/x", check=False
    )
    assert "Permission denied" in written.stderr


def test_the_packages_are_those_of_the_lock_file(image):
    script = "import importlib.metadata as m, json; print(json.dumps([(d.name, d.version) for d in m.distributions()]))"
    found = dict(json.loads(image.shell(f"/opt/modelport/bin/python -I -c '{script}'")))

    def plain(name: str) -> str:
        return re.sub(r"[-_.]+", "-", name).lower()

    pins = re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    known = {plain(name): version for name, version in pins}
    found = {plain(name): version for name, version in found.items()}
    del found["modelport"]
    assert len(found) > 30
    assert {name: version for name, version in found.items() if known.get(name) != version} == {}
    assert not {"pip", "pytest", "ruff", "mypy", "grpcio-tools"} & set(found)


def test_nothing_of_the_building_is_left(image):
    assert image.shell("compgen -c | grep -xE 'cc|gcc|g\\+\\+|clang|make' || true") == ""
    assert image.shell("ls -d /src /code /root/.cache /tmp/* 2>/dev/null || true") == ""
    assert image.shell("find /opt/modelport -name '*.h' -path '*tensorflow*' -o -type d -name tests") == ""
    assert image.shell("find /opt/modelport -printf '%Ts\\n' | sort -u") == f"{DATE}\n"


def test_its_code_is_compiled(image):
    script = "cd /opt/modelport/lib/python3.11/site-packages; ls {modelport,tensorflow}/__pycache__/__init__.*.pyc"
    assert len(image.shell(script).splitlines()) == 2


def test_the_command_answers_in_plain_words(image):
    assert "usage: modelport" in image.docker("run", "--rm", *HARDENED, IMAGE, "--help").stdout
    asked = image.docker("run", "--rm", *HARDENED, IMAGE, "status", "digits", "--server=localhost:1", check=False)
    assert asked.returncode == 1
    (line,) = asked.stderr.splitlines()
    assert line.startswith("modelport status: No server answers at localhost:1")


@pytest.fixture
def checkout(tmp_path):
    """A fresh checkout of user 1234."""
    shutil.copy(ROOT / "docker-compose.yml", tmp_path)
    shutil.copytree(ROOT / "serving/config", tmp_path / "serving/config")
    if os.geteuid() == 0:
        for path in (tmp_path, *tmp_path.rglob("*")):
            os.chown(path, 1234, 5678)
    return tmp_path


def test_a_fresh_checkout_is_trained_and_served_by_it_alone(image, checkout):
    """`embedded` in the place of tensorflow/serving, by the compose file as it is."""
    settings = {"MODELPORT_IMAGE": IMAGE, "SERVING_GRPC_PORT": str(free_port()), "SERVING_REST_PORT": str(free_port())}

    def compose(*arguments: str) -> str:
        command = [str(COMPOSE), "--project-directory", str(checkout), "-p", IMAGE, *arguments]
        return image.run(command, timeout=300, **settings).stdout

    try:
        compose("up", "--detach", "--wait", "--no-build", "--pull=never", "embedded")
        assert compose("run", "--rm", "--no-deps", "query").count("│ 7        │ 7     │") == 2
    finally:
        compose("--profile=*", "down", "--volumes", "--timeout=20")
    for left in ("models/digits/1/saved_model.pb", "models/digits/.allotted", "runs/compose/model.keras"):
        assert (checkout / left).stat().st_uid == checkout.stat().st_uid, left
