"""Images: here already, or pulled with their progress shown."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import docker
import docker.errors
import requests
from docker.utils import parse_repository_tag

from modelport.errors import Aborted, Unavailable
from modelport_serving.docker.engine import OFFER, is_arm

SERVING = "tensorflow/serving:2.21.0"
_LINE_EVERY_S = 5.0


def ensure(engine: docker.DockerClient, image: str, give_up: Callable[[], bool] = lambda: False) -> None:
    """Pull an image unless the engine has it.

    Raises:
        Unavailable: it can neither be found nor pulled; the engine's reason is in the text.
        Aborted: `give_up` said so.
    """
    try:
        engine.images.get(image)
    except docker.errors.ImageNotFound:
        pass
    else:
        return
    if image.startswith("tensorflow/serving") and is_arm(engine):
        raise Unavailable(f"There is no {image} for arm64, which this engine runs. {OFFER}")
    repository, tag = parse_repository_tag(image)
    try:
        _follow(image, engine.api.pull(repository, tag or "latest", stream=True, decode=True), give_up)
    except docker.errors.APIError as error:
        raise _failed(image, error.explanation or str(error)) from error
    except requests.Timeout as error:  # a registry's name that nobody resolves keeps the engine waiting
        raise _failed(image, f"the engine heard nothing of its registry for {engine.api.timeout} s") from error


def _follow(image: str, events: Iterable[dict[str, Any]], give_up: Callable[[], bool]) -> None:
    """Show how much of all layers is here."""
    layers: dict[str, tuple[int, int]] = {}
    with (_bar if sys.stderr.isatty() else _lines)(image) as show:
        for event in events:
            if give_up():
                raise Aborted("Stopped before the image was here.")
            if "error" in event:
                raise _failed(image, event["error"])
            detail = event.get("progressDetail") or {}
            if event.get("status") == "Downloading" and detail.get("total"):
                layers[event["id"]] = (detail.get("current", 0), detail["total"])
            elif event.get("status") == "Download complete" and event.get("id") in layers:
                layers[event["id"]] = (layers[event["id"]][1],) * 2
            show(sum(here for here, _ in layers.values()), sum(whole for _, whole in layers.values()))


@contextmanager
def _lines(image: str) -> Iterator[Callable[[int, int], None]]:
    """A line every few seconds, for logs."""
    said = time.monotonic() - _LINE_EVERY_S

    def show(here: int, whole: int) -> None:
        nonlocal said
        if time.monotonic() - said >= _LINE_EVERY_S:
            said = time.monotonic()
            print(f"pull {image}: {here / 1e6:.0f} of {whole / 1e6:.0f} MB", file=sys.stderr)

    yield show
    print(f"pull {image}: done", file=sys.stderr)


@contextmanager
def _bar(image: str) -> Iterator[Callable[[int, int], None]]:
    """A moving bar, for terminals."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("pull {task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(image, total=None)
        yield lambda here, whole: progress.update(task, completed=here, total=whole or None)


def _failed(image: str, reason: str) -> Unavailable:
    return Unavailable(
        f"The image {image} is not here and cannot be pulled: {reason.strip().rstrip('.')}. Give another by "
        f"SERVING_IMAGE or --image, or load it from a file (docker load). {OFFER}"
    )
