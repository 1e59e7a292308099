"""`modelport up | down | logs | ps`: docker-compose.yml, driven through Compose.

Compose does the work and shows its progress. Here is what it leaves out: a look at the engine, the ports and the images
before anything is changed, the embedded server where there is no real
image, and the server's own reason when it does not become healthy.
"""

from __future__ import annotations

import argparse
import os
import stat
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import docker

from modelport.errors import PermissionDenied, Unavailable
from modelport.readable import closed_to_others
from modelport_serving.config.ports import check_free
from modelport_serving.docker import engine as engines
from modelport_serving.docker import images
from modelport_serving.docker.compose import FILE, Compose

# What can be asked for beside the server, or in its place.
_BESIDE = {"monitoring": ["prometheus", "grafana"], "tensorboard": ["tensorboard"], "console": ["console"]}
_INSTEAD = {"gpu": "serving-gpu", "embedded": "embedded"}
_GRPC, _REST = 8500, 8501  # inside the container
_READ = ("/config", "/models")  # whose own files the server reads, inside the container


def up_main(argv: Sequence[str]) -> int:
    """`modelport up [monitoring] [tensorboard] [console] [gpu | embedded]`: returns when all of it is healthy."""
    parser = _parser("up", "Bring the stack up: train a first model where there is none, then serve.")
    parser.add_argument("parts", nargs="*", metavar="PART", help="further parts: " + ", ".join([*_BESIDE, *_INSTEAD]))
    parser.add_argument("--timeout", type=int, default=300, metavar="SECONDS", help="for all to be healthy (300)")
    options = parser.parse_args(argv)
    instead = [part for part in options.parts if part in _INSTEAD]
    if unknown := set(options.parts) - {*_BESIDE, *_INSTEAD}:
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join([*_BESIDE, *_INSTEAD])}")
    if len(instead) > 1:
        parser.error(f"one server at a time: {' or '.join(instead)}")
    engine = engines.connect()
    with engines.answering():
        server = _INSTEAD[instead[0]] if instead else "serving"
        if server == "serving" and engines.is_arm(engine) and not os.environ.get("SERVING_IMAGE"):
            print("This engine runs arm64, for which tensorflow/serving has no image: our own server takes its place.")
            server = "embedded"
        services = [server, *(name for part in options.parts for name in _BESIDE.get(part, []))]
        compose = Compose(options.file)
        _bring_up(compose, engine, services, options.timeout)
    ports = {port["target"]: port for port in compose.configuration()["services"][server].get("ports", [])}
    addresses = {target: f"{port.get('host_ip', 'localhost')}:{port['published']}" for target, port in ports.items()}
    print(f"gRPC  {addresses[_GRPC]}")
    print(f"REST  http://{addresses[_REST]}")
    print(f"Ask   modelport predict digits --image docs/seven.png --server {addresses[_GRPC]}")
    if "console" in options.parts:  # its token is in its log alone
        print("Look  modelport logs console")
    return 0


def _bring_up(compose: Compose, engine: docker.DockerClient, services: Sequence[str], timeout: int) -> None:
    """Look before anything is changed, then let Compose do it.

    Raises:
        Unavailable: a port is taken, an image is missing, training failed, or a service is not healthy in time.
    """
    configured = compose.configuration()["services"]
    running = {name for name, one in compose.containers(engine).items() if one.status == "running"}
    built = {service["image"] for service in configured.values() if "build" in service}
    for name in services:
        if name not in running:
            _check_ports(name, configured[name], running)
        if configured[name]["image"] not in built:
            images.ensure(engine, configured[name]["image"])
    _check_readable(configured[services[0]])
    # Attached, for its progress is what takes the time of a first start; it does nothing where there are versions.
    if compose.run("up", "--no-log-prefix", "--exit-code-from", "train", "train") != 0:
        raise Unavailable(_reasons(compose.containers(engine), ["train"]))
    if compose.run("up", "--detach", "--wait", "--wait-timeout", str(timeout), *services) != 0:
        raise Unavailable(_reasons(compose.containers(engine), services))


def down_main(argv: Sequence[str]) -> int:
    """`modelport down [--volumes]`."""
    parser = _parser("down", "Stop the stack and remove its containers; ./models stays.")
    parser.add_argument("--volumes", action="store_true", help="remove its volumes too: Prometheus' history")
    options = parser.parse_args(argv)
    engines.connect()
    return Compose(options.file).run("down", "--remove-orphans", *(["--volumes"] if options.volumes else []))


def logs_main(argv: Sequence[str]) -> int:
    """`modelport logs [SERVICE…] [--follow]`."""
    parser = _parser("logs", "What the services of the stack print.")
    parser.add_argument("services", nargs="*", metavar="SERVICE", help="default: all that run")
    parser.add_argument("--follow", "-f", action="store_true", help="go on until Ctrl-C")
    parser.add_argument("--tail", default="100", metavar="N", help="the last N lines of each, or 'all' (100)")
    options = parser.parse_args(argv)
    engines.connect()
    follow = ["--follow"] if options.follow else []
    return Compose(options.file).run("logs", "--tail", options.tail, *follow, *options.services)


def ps_main(argv: Sequence[str]) -> int:
    """`modelport ps`."""
    options = _parser("ps", "The containers of the stack.").parse_args(argv)
    engines.connect()
    return Compose(options.file).run("ps", "--all")


def _parser(name: str, text: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"modelport {name}", description=text)
    parser.add_argument("--file", type=Path, metavar="FILE", help=f"default: {FILE}, here or in a folder above")
    return parser


def _check_ports(service: str, configured: Mapping[str, Any], running: Collection[str]) -> None:
    """A taken port is told before anything is built, pulled or trained."""
    for port in configured.get("ports", []):
        host, number = port.get("host_ip", "0.0.0.0"), int(port["published"])  # noqa: S104  # what Docker would bind
        try:
            check_free(host, number)
        except Unavailable as error:
            others = sorted(set(running) & {"serving", *_INSTEAD.values()})
            way_out = (
                f"{others[0]!r} of this stack has it: 'modelport down' first."
                if others
                else "End the other program, or choose another port by the variables at 'ports' in docker-compose.yml, "
                "such as SERVING_GRPC_PORT=9500."
            )
            raise Unavailable(
                f"Port {number} on {host}, where the stack's {service!r} is to be published, is in use. {way_out}"
            ) from error


def _check_readable(configured: Mapping[str, Any]) -> None:
    """The server is another user than the one whose umask made the checkout."""
    for volume in configured.get("volumes", []):
        source = Path(volume.get("source", ""))
        if volume["target"] in _READ and source.is_dir():
            closed = closed_to_others(source) or next(
                (path for path in source.glob("[!.]*") if path.is_file() and not path.stat().st_mode & stat.S_IROTH),
                None,
            )
            if closed is not None:
                raise PermissionDenied(
                    f"Expected the configuration to be readable by the server's user. Received: {str(closed)!r} is "
                    f"closed to others: chmod -R o+rX {source}"
                )


def _reasons(containers: Mapping[str, Any], services: Sequence[str]) -> str:
    """Why services did not become healthy: what the health check and the log say."""
    lines = []
    for name, container in containers.items():
        state = container.attrs["State"]
        health = state.get("Health", {})
        if state["Status"] == "running" and health.get("Status", "healthy") == "healthy":
            continue
        if name not in services and state.get("ExitCode") == 0:
            continue
        code = "" if state["Status"] == "running" else f", exit code {state['ExitCode']}"
        lines.append(f"{name} is {health.get('Status') or state['Status']}{code}.")
        lines += [f"  health check: {' '.join(one['Output'].split())}" for one in health.get("Log", [])[-1:]]
        lines += [f"  {line}" for line in container.logs(tail=10).decode(errors="replace").splitlines()]
    return "\n".join(["The stack did not come up.", *lines, engines.OFFER])
