"""A staged version in a server of its own: a fresh process that has nothing but the folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from modelport.errors import FailedPrecondition, ModelportError
from modelport_client import Client
from modelport_export.workspaces import kept_folder

START_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 5.0
_POLL_S = 0.02  # between two looks at what the server printed
_MAX_SOCKET_PATH = 100  # the kernel's limit is 107 bytes


@dataclass(frozen=True)
class ValidationServer:
    """A server that has the version available."""

    client: Client
    rest_address: str
    pid: int
    start_seconds: float  # from starting the process to the version being available

    def resident_mib(self) -> float | None:
        """Resident memory of the server in MiB; None where the system does not tell."""
        try:
            pages = int(Path(f"/proc/{self.pid}/statm").read_text("ascii").split()[1])
        except (OSError, IndexError, ValueError):
            return None
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@contextmanager
def validation_server(folder: Path, name: str, timeout: float = START_TIMEOUT_S) -> Iterator[ValidationServer]:
    """Start `modelport serve` on a staged folder as version 1, and end it afterwards whatever happens.

    Args:
        folder: holds `saved_model.pb`.
        name: the model's.
        timeout: seconds until the version must be available.

    Raises:
        FailedPrecondition: the server ended, or gave up the version, or was not ready in time; with what it printed.
    """
    with kept_folder(within=_short_folder()) as (temporary, keeper):
        base = temporary / "models"
        base.mkdir()
        (base / "1").symlink_to(folder.absolute(), target_is_directory=True)
        socket, log = temporary / "grpc", temporary / "log"
        command = [sys.executable, "-m", "modelport", "serve", "--port=0", f"--grpc_socket_path={socket}"]
        command += ["--rest_api_port=auto"]
        command += [f"--model_name={name}", f"--model_base_path={base}", "--max_num_load_retries=0"]
        begin = time.monotonic()
        with log.open("wb") as output:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )
        try:
            keeper.hold(process.pid)
            with Client(f"unix:{socket}", retry=False) as client:  # one that dies is a finding
                _wait(client, process, name, begin + timeout, log)
                seconds = time.monotonic() - begin
                yield ValidationServer(client, _rest_address(log, begin + timeout), process.pid, seconds)
        finally:
            _end(process)
            keeper.release(process.pid)


def _wait(client: Client, process: subprocess.Popen[bytes], name: str, deadline: float, log: Path) -> None:
    reason = "it was not available in time"
    while (left := deadline - time.monotonic()) > 0:
        if process.poll() is not None:
            reason = f"the server ended with exit code {process.returncode}"
            break
        try:
            client.wait_until_available(name, 1, min(left, 0.5))
        except TimeoutError:
            continue
        except ModelportError as error:
            reason = error.message
            break
        return
    output = log.read_text("utf-8", "replace").strip()[-4000:]
    raise FailedPrecondition(
        f"Expected the staged version to load in a server of its own; {reason}. The server printed:\n{output}"
    )


def _rest_address(log: Path, deadline: float) -> str:
    """As the server prints it, once it has opened the port."""
    while True:
        for line in log.read_text("utf-8", "replace").splitlines():
            kind, _, address = line.partition(" ")
            if kind == "REST" and address.strip():
                return address.strip()
        if time.monotonic() > deadline:
            raise FailedPrecondition(f"Expected the staged version's server to say its REST address in {str(log)!r}.")
        time.sleep(_POLL_S)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask, then insist; the group is the server's own."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is None:
            os.killpg(process.pid, number)
        try:
            process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            continue
        return


def _short_folder() -> str | None:
    """A place for the socket; the usual temporary folder unless its path is too long for one."""
    usual = tempfile.gettempdir()
    return usual if len(usual) + len("/modelport-12345678/grpc") <= _MAX_SOCKET_PATH else "/tmp"  # noqa: S108
