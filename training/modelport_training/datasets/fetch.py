"""Ways to bring a published set here: what Keras downloads, and what a packager of this machine does."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from modelport.errors import Unavailable
from modelport_training.datasets import idx
from modelport_training.datasets.idx_set import FILES, TEST_IMAGES, TEST_LABELS, TRAIN_IMAGES, TRAIN_LABELS, Files

CONNECT_SECONDS = 15.0  # without an answer
COMMAND_SECONDS = 120.0  # for one package
KERAS_HOST = "storage.googleapis.com"


def from_keras(name: str) -> Files:
    """Take `keras.datasets.<name>`, from Keras' own cache or its download, as idx files.

    Raises:
        Unavailable: it cannot be downloaded.
    """
    import keras

    home = os.environ.get("KERAS_HOME")
    _require_host(KERAS_HOST, (Path(home) if home else Path.home() / ".keras") / "datasets")
    try:
        with _socket_timeout(CONNECT_SECONDS), contextlib.redirect_stdout(sys.stderr):
            (train_images, train_labels), (test_images, test_labels) = getattr(keras.datasets, name).load_data()
    except Exception as error:  # get_file raises a bare Exception for a download that fails
        raise Unavailable(str(error).rstrip(".") + ".") from error
    arrays = {
        TRAIN_IMAGES: train_images,
        TRAIN_LABELS: train_labels,
        TEST_IMAGES: test_images,
        TEST_LABELS: test_labels,
    }
    return {file: idx.encode(array.astype(np.uint8)) for file, array in arrays.items()}


def _require_host(host: str, cache: Path) -> None:
    """Find out in a moment that there is no network, where Keras would try for a minute; not when it has a cache.

    Raises:
        Unavailable: the host's name cannot be resolved.
    """
    if cache.is_dir() and any(cache.iterdir()):
        return
    try:
        socket.getaddrinfo(host, 443)
    except OSError as error:
        raise Unavailable(f"the host {host} cannot be reached: {error.strerror or error}.") from error


def run(command: Sequence[str], folder: Path) -> str:
    """Run a packager's command in `folder` and return its stdout.

    Raises:
        Unavailable: the command is not installed, fails, or takes longer than COMMAND_SECONDS.
    """
    program = shutil.which(command[0])
    if program is None:
        raise Unavailable(f"the command {command[0]!r} is not on the PATH.")
    try:
        done = subprocess.run(
            [program, *command[1:]],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=COMMAND_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"{' '.join(command)!r} gave no answer in {COMMAND_SECONDS:.0f} s.") from error
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise Unavailable(
            f"{' '.join(command)!r} failed with code {done.returncode}" + (f" and said: {said[-1]}" if said else ".")
        )
    return done.stdout


def read_folder(folder: Path) -> Files:
    """Read the four idx files in a folder.

    Raises:
        Unavailable: one is missing or cannot be read.
    """
    try:
        return {name: (folder / name).read_bytes() for name in FILES}
    except OSError as error:
        raise Unavailable(f"cannot read {str(error.filename)!r}: {error.strerror}.") from error


@contextlib.contextmanager
def _socket_timeout(seconds: float) -> Iterator[None]:
    """Keras' download takes no timeout of its own; the process-wide default is the only handle on it."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
