"""A Docker engine for the tests: the one that is there, or a private one that ends with them."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

START_S = 60


class NoEngine(Exception):
    """There is none, for the reason in the text."""


@contextmanager
def engine() -> Iterator[str]:
    """The address of an engine, for DOCKER_HOST; "" is the client's own default.

    Raises:
        NoEngine: none answers and none can be started here.
    """
    if not shutil.which("docker"):
        raise NoEngine("there is no docker client on the PATH")
    if answers(os.environ.get("DOCKER_HOST", "")):
        yield os.environ.get("DOCKER_HOST", "")
        return
    daemon = shutil.which("dockerd") or shutil.which("dockerd", path="/usr/sbin:/sbin")
    if daemon is None:
        raise NoEngine("no Docker engine answers, and there is no dockerd to start one (Debian: docker.io)")
    if os.geteuid() != 0:
        raise NoEngine("no Docker engine answers, and starting one needs root")
    folder = Path(tempfile.mkdtemp(prefix="modelport-engine-"))
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [
                daemon,
                f"--data-root={folder}/data",
                f"--exec-root={folder}/exec",
                f"--pidfile={folder}/pid",
                f"--host=unix://{folder}/docker.sock",
                "--iptables=false",  # published ports on loopback need none
                "--ip6tables=false",
                "--bridge=none",
            ],
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        address = f"unix://{folder}/docker.sock"
        deadline = time.monotonic() + START_S
        while not answers(address):
            if process.poll() is not None or time.monotonic() > deadline:
                lines = (folder / "log").read_text().splitlines()
                raise NoEngine(f"dockerd does not start here: {lines[-1] if lines else 'it says nothing'}")
            time.sleep(0.2)
        yield address
    finally:
        process.terminate()
        process.wait(60)
        _unmount(folder)
        shutil.rmtree(folder, ignore_errors=True)


def answers(address: str) -> bool:
    """Whether an engine answers there."""
    environment = {**os.environ, **({"DOCKER_HOST": address} if address else {})}
    try:
        done = subprocess.run(["docker", "info"], env=environment, capture_output=True, timeout=20, check=False)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0 and b"Server Version" in done.stdout


def _unmount(folder: Path) -> None:
    """What a daemon that was ended in a hurry left mounted."""
    for line in reversed(Path("/proc/mounts").read_text().splitlines()):
        target = line.split()[1]
        if target.startswith(str(folder)):
            subprocess.run(["umount", "--lazy", target], check=False, capture_output=True)
