"""The embedded overlay's Deployment, really run by `podman kube play`.

The image with the `modelport` command is the one that MODELPORT_TEST_IMAGE names, in podman's storage. Else it is the
stand-in of deploy/standin, made here, in a storage that ends with the test; the packages of this environment and the
project are mounted into it. The test's name says which it was.

Podman 4 asks the probes by curl inside the container, where there is none, and knows no emptyDir: here the probes are
asked in the container by bash, and a volume takes the place of /tmp. The pod has no network but its own loopback.
"""

import copy
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STANDIN = "stand-in"
IMAGE = os.environ.get("MODELPORT_TEST_IMAGE", STANDIN)
# Some machines refuse to raise limits, and crun is not everywhere.
CONFIGURATION = f"""\
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
runtime = "{"runc" if shutil.which("runc") else "crun"}"
cgroup_manager = "cgroupfs"
"""
# Nothing is shared with the user's podman, so that everything can be thrown away.
OF_ITS_OWN = """\
tmp_dir = "{0}/engine"
lock_type = "file"
[network]
network_config_dir = "{0}/networks"
"""
STORAGE = """\
[storage]
driver = "overlay"
graphroot = "{0}/images"
runroot = "{0}/run"
"""
ASK = """\
exec 3<>/dev/tcp/127.0.0.1/8501
printf 'GET {path} HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n' >&3
read -r -t 5 protocol status rest <&3; [[ $status == 200 ]]
"""

pytestmark = [
    pytest.mark.skipif(not shutil.which("podman"), reason="podman is not installed"),
    pytest.mark.timeout(400),
]


class Podman:
    """The command with settings of its own, and with a storage of its own where the image is made here."""

    def __init__(self, folder: Path, image: str) -> None:
        self.image = image
        self.mounted: dict[str, Path] = {}
        private = image == STANDIN
        (folder / "containers.conf").write_text(CONFIGURATION + (OF_ITS_OWN.format(folder) if private else ""))
        self._environment = {**os.environ, "CONTAINERS_CONF": str(folder / "containers.conf")}
        if private:
            (folder / "storage.conf").write_text(STORAGE.format(folder))
            self._environment["CONTAINERS_STORAGE_CONF"] = str(folder / "storage.conf")
            self.image = "localhost/modelport-standin-jobs"
            self.mounted = {"site-packages": Path(sys.prefix) / "lib/python3.11/site-packages", "source": ROOT}
            self._execute(ROOT / "deploy/standin/build.sh", "localhost/modelport-standin-serving", self.image, "podman")

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self._execute("podman", *arguments, check=check)

    def throw_away(self) -> None:
        """Remove the storage; for a moment what cleans up after the pod may still write its events there."""
        for _ in range(20):
            if self.run("system", "reset", "--force", check=False).returncode == 0:
                return
            time.sleep(0.5)
        self.run("system", "reset", "--force")

    def _execute(self, *command: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        result = subprocess.run(
            command, env=self._environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert not check or result.returncode == 0, f"{command}: {result.stdout}{result.stderr}"
        return result


@pytest.fixture(params=[IMAGE])
def podman(request, tmp_path) -> Iterator[Podman]:
    if request.param == STANDIN and (os.geteuid() != 0 or not shutil.which("mmdebstrap")):
        pytest.skip("making the stand-in needs root and mmdebstrap; or name an image by MODELPORT_TEST_IMAGE")
    ready = Podman(tmp_path, request.param)
    if ready.run("image", "exists", ready.image, check=False).returncode:
        pytest.skip(
            f"{ready.image} is not in podman's storage: `docker save {ready.image} | podman load` puts it there"
        )
    yield ready
    if request.param == STANDIN:
        ready.throw_away()


def playable(deployment: dict, podman: Podman, repository: Path) -> dict:
    """The Deployment as podman 4 can run it; command, user, rights, configuration and resources stay as they are."""
    played = copy.deepcopy(deployment)
    played["metadata"]["name"] = "modelport-test"
    pod = played["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    container["image"] = podman.image
    container["imagePullPolicy"] = "Never"
    for unplayable in ("startupProbe", "readinessProbe", "livenessProbe", "ports"):
        del container[unplayable]
    folders = {"models": repository}
    for name, folder in podman.mounted.items():
        folders[name] = folder
        container["volumeMounts"].append({"name": name, "mountPath": f"/opt/standin/{name}", "readOnly": True})
    config = next(volume for volume in pod["volumes"] if volume["name"] == "config")
    claim = {"name": "tmp", "persistentVolumeClaim": {"claimName": "modelport-test-tmp"}}
    mounted = [{"name": name, "hostPath": {"path": str(folder)}} for name, folder in folders.items()]
    pod["volumes"] = [config, claim, *mounted]
    return played


def test_the_deployment_runs_answers_its_probes_and_drains(podman, render, read_yaml, add_version, tmp_path):
    add_version(tmp_path / "models" / "digits", 1, "affine-2")
    found = {one["kind"]: one for one in read_yaml(render(ROOT / "deploy/kubernetes/overlays/embedded"))}
    deployment = found["Deployment"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    file = tmp_path / "play.yaml"
    objects = [found["ConfigMap"], playable(deployment, podman, tmp_path / "models")]
    file.write_text("\n---\n".join(map(json.dumps, objects)))  # JSON is YAML
    name = "modelport-test-pod-0-serving"

    def answers(probe: str) -> bool:
        script = ASK.format(path=container[probe]["httpGet"]["path"])
        return podman.run("exec", name, "bash", "-c", script, check=False).returncode == 0

    try:
        podman.run("volume", "create", "--opt", "type=tmpfs", "--opt", "device=tmpfs", "modelport-test-tmp")
        podman.run("kube", "play", "--network", "none", str(file))
        deadline = time.monotonic() + 60
        while not answers("startupProbe"):
            state = podman.run("inspect", "--format", "{{.State.Status}}", name).stdout.strip()
            assert state == "running" and time.monotonic() < deadline, podman.run("logs", name).stderr  # noqa: PT018
            time.sleep(0.5)
        assert answers("readinessProbe")
        assert answers("livenessProbe")
        podman.run("exec", name, "bash", "/config/healthcheck.sh")  # the base's probe
        within = podman.run("exec", name, "cat", "/proc/1/status", "/proc/1/mounts").stdout
        assert "\nUid:\t65532" in within
        assert "\nCapBnd:\t0000000000000000" in within
        assert "\nNoNewPrivs:\t1" in within
        lines = [line.split() for line in within.splitlines() if line.endswith(" 0 0")]
        mounts = {path: options.split(",")[0] for _, path, _, options, *_ in lines}
        assert [mounts[path] for path in ("/", "/models", "/config")] == ["ro", "ro", "ro"]
        podman.run("stop", "--time", "40", name)
        assert podman.run("inspect", "--format", "{{.State.ExitCode}}", name).stdout.strip() == "0"
        logs = podman.run("logs", name)
        assert "Draining" in logs.stdout + logs.stderr
    finally:
        podman.run("pod", "rm", "--force", "--time", "0", "modelport-test-pod-0", check=False)
        podman.run("volume", "rm", "--force", "modelport-test-tmp", found["ConfigMap"]["metadata"]["name"], check=False)
