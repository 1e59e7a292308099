"""`modelport serve --container`, from the command line to the stop."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Sequence
from threading import Event

from modelport.errors import Aborted, InvalidArgument, Unavailable
from modelport_serving.config import flags
from modelport_serving.config.options import Options
from modelport_serving.config.ports import check_free
from modelport_serving.docker import engine as engines
from modelport_serving.docker import images
from modelport_serving.docker.command import container_command
from modelport_serving.docker.single import ServingContainer


def main(argv: Sequence[str], stop: Event) -> int:
    """Serve from a container until `stop` is set. Returns 0 after a stop, 1 when it failed, 2 for a wrong flag."""
    parser = argparse.ArgumentParser(prog="modelport serve --container", add_help=False, allow_abbrev=False)
    parser.add_argument("--container", action="store_true")
    parser.add_argument("--image", default=os.environ.get("SERVING_IMAGE") or images.SERVING)
    parser.add_argument("--volume", action="append", default=[])
    parser.add_argument("--wait_seconds", type=float, default=120.0)
    own, rest = parser.parse_known_args(argv)
    named = flags.named(rest)
    try:
        options = flags.parse(rest)
        container_command(options, named, own.image, 1, own.volume)  # before an engine is asked for nothing
    except InvalidArgument as error:
        _say(f"modelport serve: {error.message}")
        return 2
    _check_ports(options)
    engine = engines.connect()
    with engines.answering():
        command = container_command(options, named, own.image, engines.cores(engine), own.volume)
        container = ServingContainer(engine, command, _say)
        try:
            images.ensure(engine, own.image, stop.is_set)
            container.start()
            container.wait_until_ready(stop.is_set, own.wait_seconds)
            return _watch(container, own.image, stop, options.grace_seconds)
        except Aborted:
            return 0
        finally:
            container.remove()


def _watch(container: ServingContainer, image: str, stop: Event, grace_s: float) -> int:
    """Stay with the container until it, or we, are to end."""
    ports = container.ports
    print(f"gRPC  {ports.host}:{ports.grpc}")
    if ports.rest:
        print(f"REST  http://{ports.host}:{ports.rest}")
    print(f"Container {container.name} runs {image}. Stop with Ctrl-C.", flush=True)
    while not stop.wait(0.5):
        if container.has_ended():
            _say(f"The container ended by itself. Its last words:\n{container.last_lines()}")
            return 1
    _say("Stopping the container.")
    container.stop(grace_s)
    _say("Stopped.")
    return 0


def _check_ports(options: Options) -> None:
    """A taken port is told before an image is pulled; if it is taken by a container of ours, that is told."""
    try:
        for port in (options.port, options.rest_api_port):
            check_free(options.host, port)
    except Unavailable:
        with contextlib.suppress(Unavailable), engines.answering():  # no engine, so no container of ours either
            ServingContainer.refuse_running(engines.connect(), options.port)
        raise


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
