"""`modelport serve --container`: tensorflow/serving in a container, started, watched and stopped as a process would be.

The flags are those of `tensorflow_model_server`. Every folder that they and the configuration file name is mounted
read-only under its own path, so the same command line and files serve with and without a container.
"""

from __future__ import annotations

import math
import os
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import docker
import docker.errors
import grpc

from modelport.errors import AlreadyExists, Internal, Unavailable
from modelport.wire import messages
from modelport.wire.services import stub
from modelport_serving.containers.command import ContainerCommand
from modelport_serving.states import State

_LABEL = "modelport.serve"
_GRPC, _REST = "8500/tcp", "8501/tcp"
_LAST_LINES = 20


@dataclass(frozen=True)
class Ports:
    """Where the container answers on this machine; rest is 0 for none."""

    host: str
    grpc: int
    rest: int


class ServingContainer:
    """One container of the real server.

    Args:
        engine: where it runs.
        command: what it runs, from `command.container_command`.
        say: gets a line for each thing that happens to the container, and for each line that it prints.
    """

    def __init__(self, engine: docker.DockerClient, command: ContainerCommand, say: Callable[[str], None]) -> None:
        self._engine = engine
        self._command = command
        self._say = say
        self._container: Any = None
        self._network: Any = None
        self._ended = threading.Event()
        self.name = f"modelport-serve-{command.grpc_port or secrets.token_hex(3)}"

    @property
    def has_ended(self) -> bool:
        """Whether the container stopped by itself."""
        return self._ended.is_set()

    def start(self) -> Ports:
        """Create and start it.

        Raises:
            AlreadyExists: a container of an earlier run still serves on this port.
            Unavailable: a port is taken, or the engine cannot start it.
        """
        self.clear_leftover()
        command = self._command
        published = {_GRPC: (command.host, command.grpc_port)}
        if command.rest_port != 0:
            published[_REST] = (command.host, command.rest_port)
        try:
            # A network of its own: on the default one every container of the machine could ask it.
            self._network = self._engine.networks.create(self.name, labels={_LABEL: str(os.getpid())})
            self._container = self._engine.containers.create(
                command.image,
                command.flags,
                entrypoint=["tensorflow_model_server"],  # the image's own script passes no signals on
                name=self.name,
                labels={_LABEL: str(os.getpid())},
                network=self.name,
                ports=published,
                volumes=command.volumes,
                init=True,  # the server handles no signals as process 1
                user="65534:65534",  # nobody: reading the models is all that it has to do
                read_only=True,
                tmpfs={"/tmp": ""},  # noqa: S108  # inside the container
                cap_drop=["ALL"],
                security_opt=["no-new-privileges:true"],
                pids_limit=512,
            )
            threading.Thread(target=self._follow_events, daemon=True).start()
            self._container.start()
        except docker.errors.APIError as error:
            self.remove()
            raise Unavailable(f"The container cannot be started: {error.explanation or error}") from error
        threading.Thread(target=self._follow_log, daemon=True).start()
        self._container.reload()
        bindings = self._container.attrs["NetworkSettings"]["Ports"]
        found = {port: int(where[0]["HostPort"]) for port, where in bindings.items() if where}
        return Ports(command.host, found.get(_GRPC, 0), found.get(_REST, 0))

    def wait_until_ready(self, ports: Ports, give_up: Callable[[], bool], timeout: float) -> None:
        """Wait until every model has an available version.

        Raises:
            Unavailable: the container ended, or a model did not come within `timeout` seconds; the server's own words.
        """
        deadline = time.monotonic() + timeout
        with grpc.insecure_channel(f"{ports.host}:{ports.grpc}") as channel:
            ask = stub(channel, "GetModelStatus")
            waiting = list(self._command.models)
            seen = "it does not answer yet"
            while waiting and not give_up():
                if self.has_ended:
                    raise Unavailable(f"The server ended before it was ready:\n{self.last_lines()}")
                if time.monotonic() > deadline:
                    raise Unavailable(f"Not ready within {timeout:g} s: {seen}. It said:\n{self.last_lines()}")
                try:
                    request = messages.GetModelStatusRequest(model_spec=messages.ModelSpec(name=waiting[0]))
                    states = ask(request, timeout=5).model_version_status
                except grpc.RpcError as error:
                    seen = f"model {waiting[0]}: {error.details()}"
                else:
                    if any(one.state == State.AVAILABLE for one in states):
                        waiting.pop(0)
                        continue
                    seen = f"model {waiting[0]}: " + ", ".join(
                        f"version {one.version} {one.status.error_message or 'is not available'}" for one in states
                    )
                time.sleep(0.2)

    def stop(self, grace_s: float) -> None:
        """Stop it as `docker stop` does, and remove it."""
        if self._container is not None:
            self._container.stop(timeout=math.ceil(grace_s))
        self.remove()

    def remove(self) -> None:
        """Remove it, whatever state it is in."""
        if self._container is not None:
            self._container.remove(force=True, v=True)
            self._container = None
        if self._network is not None:
            self._network.remove()
            self._network = None

    def last_lines(self) -> str:
        """The end of its log."""
        return str(self._container.logs(tail=_LAST_LINES).decode(errors="replace")).rstrip()

    def clear_leftover(self) -> None:
        """What an earlier run left under our name: removed if it has ended.

        Raises:
            AlreadyExists: it still serves.
        """
        try:
            found = self._engine.containers.get(self.name)
        except docker.errors.NotFound:
            return
        if _LABEL not in found.labels:
            raise AlreadyExists(f"A container {self.name!r} is there that modelport did not make: docker rm it.")
        if found.status in ("running", "restarting", "paused"):
            raise AlreadyExists(
                f"The container {self.name!r} of an earlier 'modelport serve --container' still serves on this port. "
                f"Stop it: docker rm --force {self.name}"
            )
        found.remove(force=True, v=True)
        for network in self._engine.networks.list(names=[self.name]):
            network.remove()
        self._say(f"Removed {self.name!r}, which an earlier run left behind ({found.status}).")

    def _follow_events(self) -> None:
        """Say what happens to the container until it dies."""
        container_id = self._container.id
        for event in self._engine.events(decode=True, filters={"container": container_id, "type": "container"}):
            action = str(event.get("Action", ""))
            if action in ("start", "oom", "kill", "pause", "unpause", "die"):
                code = event.get("Actor", {}).get("Attributes", {}).get("exitCode")
                self._say(f"container: {action}" + (f", exit code {code}" if code is not None else ""))
            if action in ("die", "destroy"):
                self._ended.set()
                return

    def _follow_log(self) -> None:
        container = self._container
        if container is None:
            raise Internal("Expected a container that was started.")
        for line in container.logs(stream=True, follow=True):
            self._say(line.decode(errors="replace").rstrip())
