"""The container of `modelport serve --container`: started, watched and stopped as a process would be.

The flags are those of `tensorflow_model_server`. Every folder that they and the configuration file name is mounted
read-only under its own path, so the same command line and files serve with and without a container.
"""

from __future__ import annotations

import contextlib
import math
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import docker
import docker.errors
import grpc

from modelport.errors import Aborted, AlreadyExists, Unavailable
from modelport.wire import messages
from modelport.wire.services import stub
from modelport_serving.core.servable_state import State
from modelport_serving.docker.command import ContainerCommand

_LABEL = "modelport.serve"  # its value is the process that minds the container
_GRPC, _REST = "8500/tcp", "8501/tcp"
_LAST_LINES = 20
# gRPC's own pauses between attempts grow to minutes, and a server that loads for a minute would be noticed late.
_CHANNEL_OPTIONS = (("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 1000))


@dataclass(frozen=True)
class Ports:
    """Where the container answers on this machine; rest is 0 for none."""

    host: str
    grpc: int
    rest: int


class ServingContainer:
    """One container of the real server. `remove` it, whatever happens after `start`.

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
        self.name = _name(command.grpc_port)
        self.ports = Ports(command.host, 0, 0)

    @staticmethod
    def refuse_running(engine: docker.DockerClient, grpc_port: int) -> None:
        """Raise AlreadyExists if a container of an earlier run still serves on this port."""
        for found in engine.containers.list(filters={"label": _LABEL}):
            if found.name == _name(grpc_port):
                raise AlreadyExists(
                    f"The container {found.name!r} of an earlier 'modelport serve --container' still serves on this "
                    f"port. Stop it: docker rm --force {found.name}"
                )

    def start(self) -> None:
        """Clear what killed runs left, then create and start the container; `ports` are known afterwards.

        Raises:
            AlreadyExists: a container of an earlier run still serves on this port.
            Unavailable: the engine cannot start it.
        """
        if self._command.grpc_port:
            self.refuse_running(self._engine, self._command.grpc_port)
        self._clear_leftovers()
        command, mine = self._command, {_LABEL: str(os.getpid())}
        published = {_GRPC: (command.host, command.grpc_port)}
        if command.rest_port != 0:
            published[_REST] = (command.host, command.rest_port)
        # A network of its own: on the default one every container of the machine could ask it.
        self._network = self._engine.networks.create(self.name, labels=mine)
        self._container = self._engine.containers.create(
            command.image,
            command.flags,
            entrypoint=["tensorflow_model_server"],  # the image's own script passes no signals on
            name=self.name,
            labels=mine,
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
        events = self._engine.events(decode=True, filters={"container": self._container.id, "type": "container"})
        threading.Thread(target=self._tell_events, args=(events,), daemon=True).start()
        self._container.start()
        log = self._container.logs(stream=True, follow=True)
        threading.Thread(target=self._tell_log, args=(log,), daemon=True).start()
        self._container.reload()
        bindings = self._container.attrs["NetworkSettings"]["Ports"]
        found = {port: int(where[0]["HostPort"]) for port, where in bindings.items() if where}
        self.ports = Ports(command.host, found.get(_GRPC, 0), found.get(_REST, 0))

    def wait_until_ready(self, give_up: Callable[[], bool], timeout: float) -> None:
        """Wait until every model has an available version.

        Raises:
            Unavailable: the container ended, or a model did not come within `timeout` seconds; the server's own words.
            Aborted: `give_up` said so.
        """
        deadline = time.monotonic() + timeout
        host = f"[{self.ports.host}]" if ":" in self.ports.host else self.ports.host
        with grpc.insecure_channel(f"{host}:{self.ports.grpc}", options=_CHANNEL_OPTIONS) as channel:
            ask = stub(channel, "GetModelStatus")
            waiting = list(self._command.models)
            seen = "it does not answer yet"
            while waiting:
                if give_up():
                    raise Aborted("Stopped before the models were ready.")
                if self.has_ended():
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

    def has_ended(self) -> bool:
        """Whether the container has stopped, or is gone."""
        try:
            self._container.reload()
        except docker.errors.NotFound:
            return True
        return self._container.status in ("exited", "dead", "removing")

    def last_lines(self) -> str:
        """The end of its log."""
        try:
            return str(self._container.logs(tail=_LAST_LINES).decode(errors="replace")).rstrip()
        except docker.errors.NotFound:
            return "(it was removed, and its log with it)"

    def stop(self, grace_s: float) -> None:
        """Stop it as `docker stop` does."""
        with contextlib.suppress(docker.errors.NotFound):
            self._container.stop(timeout=math.ceil(grace_s))

    def remove(self) -> None:
        """Remove what `start` made, whatever state it is in."""
        for made, options in ((self._container, {"force": True, "v": True}), (self._network, {})):
            if made is not None:
                with contextlib.suppress(docker.errors.NotFound):
                    made.remove(**options)
        self._container = self._network = None

    def _clear_leftovers(self) -> None:
        """Remove containers of ours that have ended and networks without any, if nobody minds them any more."""
        mine = {"label": _LABEL}
        for found in self._engine.containers.list(all=True, filters=mine):
            if found.status in ("created", "exited", "dead") and not _is_minded(found.labels):
                found.remove(force=True, v=True)
                self._say(f"Removed {found.name!r}, which an earlier run left behind ({found.status}).")
        for network in self._engine.networks.list(filters=mine, greedy=True):
            if not network.containers and not _is_minded(network.attrs["Labels"]):
                network.remove()

    def _tell_events(self, events: Iterable[dict[str, Any]]) -> None:
        with contextlib.suppress(docker.errors.DockerException, OSError):  # the engine went away: has_ended tells
            for event in events:
                action = str(event.get("Action", ""))
                if action in ("start", "oom", "kill", "pause", "unpause", "die"):
                    code = event.get("Actor", {}).get("Attributes", {}).get("exitCode")
                    self._say(f"container: {action}" + (f", exit code {code}" if code is not None else ""))
                if action in ("die", "destroy"):
                    return

    def _tell_log(self, lines: Iterable[bytes]) -> None:
        with contextlib.suppress(docker.errors.DockerException, OSError):
            for line in lines:
                self._say(line.decode(errors="replace").rstrip())


def _name(grpc_port: int | None) -> str:
    return f"modelport-serve-{grpc_port or secrets.token_hex(3)}"


def _is_minded(labels: dict[str, str]) -> bool:
    """Whether the process that started it is there; another machine's is taken for one that is not."""
    try:
        os.kill(int(labels[_LABEL]), 0)
    except (ProcessLookupError, ValueError, OverflowError):
        return False
    except PermissionError:  # somebody else's, but there
        pass
    return True
