"""Fixtures for the tests of the contract: a repository, what publishes into it, and files that are none."""

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from modelport.manifest import Manifest
from modelport.repository import Repository


@pytest.fixture
def repository(tmp_path) -> Repository:
    return Repository(tmp_path / "models")


@pytest.fixture
def publish() -> Callable:
    """Publish files with this content as the next version."""

    def publish(repository: Repository, content: str = "graph", model: str = "m", **facts):
        with repository.stage(model) as staging:
            (staging.path / "saved_model.pb").write_text(content)
            (staging.path / "variables").mkdir()
            (staging.path / "variables" / "variables.index").write_text(content)
            return staging.commit(Manifest(model=model, **facts))

    return publish


@pytest.fixture(params=["FIFO", "device", "socket", "folder", "gigabyte"])
def trap(request, tmp_path, monkeypatch) -> Iterator[tuple[Callable[[Path], None], str]]:
    """What stops a program that reads whatever it finds: how to put it somewhere, and what is to be said of it."""
    with socket.socket(socket.AF_UNIX) as listener:

        def bind(path: Path) -> None:
            monkeypatch.chdir(path.parent)  # a socket's path is 107 bytes long at most
            listener.bind(path.name)

        def gigabyte(path: Path) -> None:
            path.touch()
            os.truncate(path, 2**40)

        yield {
            "FIFO": (os.mkfifo, "a FIFO"),
            "device": (lambda path: path.symlink_to("/dev/zero"), "a link to '/dev/zero', a character device"),
            "socket": (bind, "a socket"),
            "folder": (Path.mkdir, "a folder"),
            "gigabyte": (gigabyte, "1,099,511,627,776 bytes"),
        }[request.param]
