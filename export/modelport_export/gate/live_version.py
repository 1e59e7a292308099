"""The version that is live, as far as the repository tells, in a server of its own beside the new one."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from modelport import live
from modelport.errors import ModelportError
from modelport.manifest import Manifest
from modelport.repository import Repository
from modelport_export import savedmodel
from modelport_export.proof.validation_server import ValidationServer, validation_server
from modelport_export.signatures import Signature


class LiveVersion:
    """What a new version is held against. Used as a context: its server ends with it.

    Attributes:
        number: its version.
        path: its folder.
        manifest: None for a foreign SavedModel, or where it cannot be read.
        signatures: None where they cannot be read; `fault` says why.
        fault: why it cannot be compared; empty where it can.
    """

    def __init__(self, repository: Repository, model: str, number: int) -> None:
        self.number = number
        self.path: Path = repository.version_path(model, number)
        self.fault = ""
        self.manifest: Manifest | None = None
        self.signatures: Mapping[str, Signature] | None = None
        with suppress(ModelportError):  # its graph tells as much of its signatures
            self.manifest = repository.read_manifest(model, number)
        try:
            self.signatures = savedmodel.read_signatures(self.path)[0]
        except ModelportError as error:
            self.fault = error.message
        self._model = model
        self._stack = ExitStack()
        self._executor = ThreadPoolExecutor(1)
        self._server: Future[ValidationServer] | None = None

    @classmethod
    def of(cls, repository: Repository, model: str) -> LiveVersion | None:
        """The live version of a model; None where there is none yet."""
        numbers = repository.versions(model)
        if not numbers:
            return None
        number = live.live_version(live.model_config(repository, model), numbers[-1]) or numbers[-1]
        # One that is named and not there is live nowhere: what a server has then is the newest.
        return cls(repository, model, number if number in numbers else numbers[-1])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.exception()  # wait: what is half started is ended by its own context
        self._executor.shutdown()
        self._stack.close()

    def start(self) -> None:
        """Begin to start its server, beside whatever else is done."""
        if self._server is None and not self.fault:
            self._server = self._executor.submit(self._stack.enter_context, validation_server(self.path, self._model))

    def server(self) -> ValidationServer | None:
        """Its server; None where it does not start, and `fault` says why."""
        if self._server is None:
            return None
        try:
            return self._server.result()
        except ModelportError as error:
            self.fault = self.fault or error.message.splitlines()[0]
            return None
