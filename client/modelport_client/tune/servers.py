"""A server of one's own: started on free loopback ports with some settings, and ended with all that it started."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from modelport.errors import Cancelled, DeadlineExceeded, FailedPrecondition, NotFound, Unavailable
from modelport_client.client import Client
from modelport_client.tune.settings import Setting

_READY_WITHIN_S = 120.0  # TensorFlow, a large model, a container
_GRACE = "--grace_seconds=5"  # of our server, and of a container's stop
_END_WITHIN_S = 60.0  # after SIGTERM; only a container takes longer than its grace
_POLL_S = 0.05
_LAST_LINES = 5  # of its output, for errors
EMBEDDED = (sys.executable, "-m", "modelport", "serve")


@dataclass(frozen=True)
class Kind:
    """Which server is tuned.

    Args:
        command: its program and first arguments.
        words: for people.
        is_embedded: whether it is ours, without a container.
    """

    command: tuple[str, ...]
    words: str
    is_embedded: bool


class OwnServer:
    """One server with one model; use as a context manager.

    Args:
        kind: which.
        model: its name.
        base_path: where its versions are.
        setting: how it is set.
        folder: for its files.
        is_over: whether somebody wants to end: then its start is not waited for.
    """

    def __init__(
        self,
        kind: Kind,
        model: str,
        base_path: Path,
        setting: Setting,
        folder: Path,
        is_over: Callable[[], bool] = lambda: False,
    ) -> None:
        self._is_over = is_over
        self._kind = kind
        self._model = model
        self._log = folder / "server.log"
        folder.mkdir(parents=True, exist_ok=True)
        port = _free_port()
        self.address = f"127.0.0.1:{port}"
        flags = [f"--port={port}", f"--model_name={model}", f"--model_base_path={base_path.resolve()}"]
        flags += ["--max_num_load_retries=0", *setting.flags]  # what fails is told at once
        if setting.batching is not None:
            batching = folder / "batching.config"
            batching.write_text(setting.batching, "utf-8")
            flags.append(f"--batching_parameters_file={batching.resolve()}")
        self._command = [*kind.command, *flags]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> OwnServer:
        with self._log.open("wb") as log:
            try:
                self._process = subprocess.Popen(
                    self._command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # Ctrl-C is for the one that started it; and its group ends with it
                )
            except OSError as error:
                raise NotFound(f"Cannot start {self._command[0]!r}: {error.strerror or error}.") from error
        try:
            self._wait()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process = self._process
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(_END_WITHIN_S)
        except subprocess.TimeoutExpired:
            pass
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # what it left behind, too
            process.wait()

    def _wait(self) -> None:
        """Until the model is available; raises when the server ends or takes too long."""
        process = self._process
        deadline = time.monotonic() + _READY_WITHIN_S
        with Client(self.address) as client:
            while process is not None and process.poll() is None:
                with contextlib.suppress(Unavailable, NotFound, DeadlineExceeded):
                    states = client.status(self._model, timeout=1.0)
                    if any(state.state == "AVAILABLE" for state in states):
                        return
                    gone = [state for state in states if state.state == "END" and state.code]
                    if gone and len(gone) == len(states):
                        raise FailedPrecondition(f"The server cannot serve {self._model!r}: {gone[0].message}")
                if self._is_over():
                    raise Cancelled("It was ended early.")
                if time.monotonic() > deadline:
                    raise DeadlineExceeded(f"It was not ready within {_READY_WITHIN_S:g} s. {self._last_words()}")
                time.sleep(_POLL_S)
        code = None if process is None else process.returncode
        raise FailedPrecondition(f"The server ended with exit code {code} before it was ready. {self._last_words()}")

    def _last_words(self) -> str:
        lines = self._log.read_text("utf-8", "replace").strip().splitlines()[-_LAST_LINES:]
        return "Its last words: " + (" / ".join(lines) if lines else "none") + f" (command: {' '.join(self._command)})"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def kind_of(server_command: Sequence[str] | None, image: str | None) -> Kind:
    """The server that the options name."""
    if image is not None:
        command = (*EMBEDDED, "--container", f"--image={image}", _GRACE)
        return Kind(command, f"the container {image}", False)
    if server_command is not None:
        return Kind(tuple(server_command), " ".join(server_command), False)
    return Kind((*EMBEDDED, "--rest_api_port=0", _GRACE), "the embedded server", True)
