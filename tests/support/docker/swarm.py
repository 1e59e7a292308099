"""deploy/swarm.yml on a swarm of one node, under load from containers of its network."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.docker.asking import eventually
from tests.support.docker.stack import JOBS, ROOT, Stack
from tests.support.ports import free_port

NAME = "modelport"
ENDS = ("completed", "paused", "rollback_completed", "rollback_paused")
METRICS = (
    "exec 3<>/dev/tcp/127.0.0.1/8501; printf 'GET /monitoring/prometheus/metrics HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3"
)
# A connection lasts 10 s, and when one ends a client is told the new addresses, a second old at most. The engine waits
# 2 s before it stops a replica: many a client would lose a request without the drain, and none has to with it.
TIMES = {"SERVING_CONNECTION_AGE_S": "10", "SERVING_DRAIN_S": "12", "SERVING_START_PERIOD": "15s"}
ONCE = ["--server=dns:///tasks.serving:8500", "--rate=100", "--no-retry"]
LOADS = {  # as users ask, and once only, for then nothing hides a lost request
    "gRPC": ["--server=dns:///tasks.serving:8500", "--rate=20"],
    "REST": ["--server=http://tasks.serving:8501", "--rate=20"],
    "gRPC, no retry": ONCE,
    "gRPC, no retry, again": ONCE,  # connections of another age
}


class Swarm:
    """The stack of deploy/swarm.yml, with shorter times, on an engine in swarm mode; `on` says which server it runs."""

    def __init__(self, host: str, folder: Path) -> None:
        stack = Stack(host, folder, NAME)  # for its folders, its images and its environment
        self.on, self.models = stack.on.replace("the stack", "a swarm"), stack.models
        self.config = folder / "config/models.config"  # the stack of one machine has the repository's
        self.docker, self.inspect = stack.docker, stack.inspect
        self._environment = stack.environment
        self._environment |= TIMES
        self._files = [ROOT / "deploy/swarm.yml", ROOT / "tests/docker/swarm.quick.yml"]
        self._mounts = []
        if not stack.is_real:
            self._files.append(ROOT / "deploy/standin/swarm.standin.yml")
            self._environment["SERVING_COMMAND"] = "bash /opt/standin/source/tests/docker/abrupt.sh"
            packages, source = (stack.environment[f"STANDIN_{name}"] for name in ("PACKAGES", "SOURCE"))
            self._mounts = [f"-v={packages}:/opt/standin/site-packages:ro", f"-v={source}:/opt/standin/source:ro"]

    def deploy(self, config_version: int) -> None:
        """`docker stack deploy` with what the configuration says now."""
        self._environment["CONFIG_VERSION"] = str(config_version)
        files = [f"--compose-file={file}" for file in self._files]
        self.docker("stack", "deploy", "--resolve-image=never", *files, NAME)

    def outcome(self) -> str:
        """How the update ended, once it has."""
        shown = "{{with .UpdateStatus}}{{.State}}{{end}}"
        command = ("service", "inspect", f"--format={shown}", f"{NAME}_serving")
        eventually(lambda: self.docker(*command).stdout.strip() in ENDS, timeout=150)
        return self.docker(*command).stdout.strip()

    def replicas(self, *more: str) -> list[str]:
        """The containers that run."""
        label = f"label=com.docker.swarm.service.name={NAME}_serving"
        return self.docker("ps", "--quiet", f"--filter={label}", *more).stdout.split()

    def settled(self) -> bool:
        """Whether the two replicas are healthy, and no third is still there."""
        return len(self.replicas()) == len(self.replicas("--filter=health=healthy")) == 2

    def answered(self, replica: str) -> int:
        """How many requests a replica has answered, by its own count."""
        page = self.docker("exec", replica, "bash", "-c", METRICS).stdout
        counts = [line for line in page.splitlines() if line.startswith(":tensorflow:serving:request_count{")]
        return int(sum(float(line.split()[-1]) for line in counts))

    @contextmanager
    def asking(self) -> Iterator[dict[str, dict]]:
        """Loads from containers on the network of the clients; their reports are there when the block is over."""
        command = [
            "--detach",
            f"--network={NAME}_clients",
            *self._mounts,
            JOBS,
            "loadtest",
            "digits",
            '--input={"x": [1]}',
        ]
        loads = {}
        reports: dict[str, dict] = {}
        try:
            for name, words in LOADS.items():
                loads[name] = self.docker("run", *command, *words, "--seconds=300", "--json").stdout.strip()
            before = [self.answered(replica) for replica in self.replicas()]
            eventually(
                lambda: all(self.answered(one) > was + 100 for one, was in zip(self.replicas(), before, strict=True))
            )
            yield reports
            for name, container in loads.items():
                self.docker("kill", "--signal=INT", container)
                self.docker("wait", container)
                reports[name] = json.loads(self.docker("logs", container).stdout)
        finally:
            self.docker("rm", "--force", *loads.values())

    def remove(self) -> None:
        """`docker stack rm`, without the drain, and the wait for what is done behind one's back."""
        self.docker("stack", "rm", NAME)
        self.docker("rm", "--force", *self.replicas(), check=False)
        mine = f"--filter=label=com.docker.stack.namespace={NAME}"
        kinds = (("ps", "--all"), ("network", "ls"), ("config", "ls"), ("service", "ls"))
        eventually(lambda: not any(self.docker(*kind, "--quiet", mine).stdout for kind in kinds))


@contextmanager
def swarm_mode(docker) -> Iterator[None]:
    """Make the engine a swarm of one node, which nobody else reaches, and undo it."""
    gateway = ("network", "inspect", "docker_gwbridge")
    had_gateway = docker(*gateway, check=False).returncode == 0
    docker("swarm", "init", "--advertise-addr=127.0.0.1", f"--listen-addr=127.0.0.1:{free_port()}")
    try:
        yield
    finally:
        docker("swarm", "leave", "--force")
        if not had_gateway:
            docker("network", "rm", "docker_gwbridge")
