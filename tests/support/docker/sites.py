"""Servers without Docker that the same tests run against: the embedded server, and the real one's program."""

import shutil
import subprocess
import sys
from pathlib import Path

from modelport_client import Client
from tests.support.ports import free_port


class ProcessSite:
    """A server as a process on this machine, started as the stack starts it in its container.

    Args:
        folder: gets the models, the configuration and the log.
        program: the command before the flags.
        on: what the results are labelled with.
    """

    def __init__(self, folder: Path, program: list[str], on: str) -> None:
        self.on = on
        self.models = folder / "models"
        self.config = folder / "models.config"
        self.grpc_port, self.rest_port = free_port(), free_port()
        self.grpc, self.rest = f"127.0.0.1:{self.grpc_port}", f"http://127.0.0.1:{self.rest_port}"
        self._log = folder / "log"
        self._command = [
            *program,
            f"--port={self.grpc_port}",
            f"--rest_api_port={self.rest_port}",
            f"--model_config_file={self.config}",
            "--model_config_file_poll_wait_seconds=1",
            "--allow_version_labels_for_unavailable_models=true",
            "--max_num_load_retries=1",
            "--load_retry_interval_micros=1000000",
        ]
        self._process: subprocess.Popen | None = None

    @classmethod
    def embedded(cls, folder: Path) -> "ProcessSite":
        command = [sys.executable, "-m", "modelport", "serve"]
        return cls(folder, command, "the embedded server as a process")

    @classmethod
    def binary(cls, folder: Path) -> "ProcessSite":
        program = shutil.which("tensorflow_model_server")
        if program is None:
            raise LookupError("there is no tensorflow_model_server on the PATH")
        return cls(folder, [program], f"{program}")

    def start(self) -> None:
        with self._log.open("a") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=subprocess.STDOUT)
        with Client(self.grpc) as client:
            client.wait_until_available("digits", timeout=60)

    def restart(self) -> None:
        self.stop()
        self.start()

    def kill(self) -> None:
        """Kill it without a word; what starts it again here is us."""
        self._process.kill()
        self._process.wait(10)
        self.start()

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(60)
