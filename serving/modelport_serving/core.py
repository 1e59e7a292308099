"""The server's core: configuration, source and manager wired together, and the names that requests use.

Knows nothing of gRPC and HTTP. The data plane asks it for handles, the servers tell it when to start and to stop.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from modelport.errors import InvalidArgument, Unknown
from modelport.serverconfig import ModelConfig, ServerConfig
from modelport.wire import messages
from modelport_serving.manager import Handle, Loader, Manager
from modelport_serving.source import Source
from modelport_serving.states import StateBoard


def check_models(models: Sequence[ModelConfig]) -> None:
    """Refuse a configuration that the real server refuses, with its texts.

    Raises:
        InvalidArgument: a name twice, a relative base path, no platform or an unknown one.
    """
    names: set[str] = set()
    for model in models:
        if model.name in names:
            raise InvalidArgument(f"Illegal to list model {model.name} multiple times in config list")
        names.add(model.name)
    for model in models:
        if not model.base_path.startswith("/") and "://" not in model.base_path:
            raise InvalidArgument(
                f"Expected model {model.name} to have an absolute path or URI; got base_path()={model.base_path}"
            )
        if model.model_type == messages.OTHER:
            raise InvalidArgument(f"ModelServerConfig::model_type choice {model.model_type} not supported.")
        if model.model_type and model.platform:
            raise InvalidArgument(
                "Illegal setting both ModelServerConfig::model_type (deprecated) and "
                f"ModelServerConfig::model_platform, model name is {model.name}"
            )
        if not model.model_type and not model.platform:
            raise InvalidArgument(
                "Illegal setting neither ModelServerConfig::model_type (deprecated) nor "
                f"ModelServerConfig::model_platform, model name is {model.name}"
            )
        if model.platform not in ("", "tensorflow"):
            raise InvalidArgument(f"Model {model.name} requests unsupported platform {model.platform}")
        if "://" in model.base_path:
            raise InvalidArgument(
                f"Expected the base path of model {model.name} on a local file system. Received: {model.base_path}. "
                "Mount it, or copy the versions to a local folder."
            )


class ServerCore:
    """Serves the versions that a configuration and the disk ask for.

    Args:
        load: makes a Servable of a version, warm-up included.
        warn: takes one line for a person.
        poll_s: seconds between two looks at the disk; 0 looks once.
        load_threads, unload_threads, retries, retry_interval_s: see `Manager`.
    """

    def __init__(
        self,
        load: Loader,
        warn: Callable[[str], None],
        poll_s: float = 1.0,
        load_threads: int = 1,
        unload_threads: int = 1,
        retries: int = 5,
        retry_interval_s: float = 60.0,
    ) -> None:
        self.board = StateBoard()
        self.manager = Manager(load, self.board, load_threads, unload_threads, retries, retry_interval_s)
        self._source = Source(warn)
        self._poll_s = poll_s
        self._models: tuple[ModelConfig, ...] = ()
        self._stopping = threading.Event()
        self._poller = threading.Thread(target=self._poll_forever, name="source", daemon=True)

    @property
    def models(self) -> tuple[ModelConfig, ...]:
        """The configured models."""
        return self._models

    def configure(self, config: ServerConfig) -> None:
        """Take the models of a configuration; the next look at the disk acts on them.

        Raises:
            InvalidArgument: see `check_models`; nothing was changed.
        """
        models = config.models or ()
        check_models(models)
        self._models = models

    def start(self, give_up: Callable[[], bool]) -> bool:
        """Begin to poll and wait until every model has a version that answers, or has failed for good.

        Returns False when `give_up()` said to stop waiting.

        Raises:
            Unknown: no version of some model could be loaded; the reasons are in the message.
        """
        self._poller.start()
        if not self.board.wait_until_settled([model.name for model in self._models], give_up):
            return False
        failed = [line for model in self._models for line in self._failure(model.name)]
        if failed:
            raise Unknown(f"{len(failed)} servable(s) did not become available: {{{''.join(failed)}}}")
        return True

    def handle(self, spec: messages.ModelSpec) -> Handle:
        """Take a handle on the version that a ModelSpec names.

        Raises:
            InvalidArgument: no name, or an unknown label.
            NotFound: the version is not available.
        """
        if not spec.name:
            raise InvalidArgument("ModelSpec has no name specified.")
        match spec.WhichOneof("version_choice"):
            case "version":
                return self.manager.handle(spec.name, spec.version.value)
            case "version_label":
                return self.manager.handle(spec.name, self._labelled(spec.name, spec.version_label))
            case _:
                return self.manager.handle(spec.name)

    def stop(self) -> None:
        """Unload everything and end all threads; handles that are out are waited for."""
        self._stopping.set()
        if self._poller.is_alive():
            self._poller.join()
        self.manager.stop()

    def _labelled(self, name: str, label: str) -> int:
        for model in self._models:
            if model.name == name and label in model.labels:
                return model.labels[label]
        raise InvalidArgument(f"Unrecognized servable version label: {label}")

    def _failure(self, name: str) -> list[str]:
        versions = self.board.versions(name)
        if self.manager.available(name) or not versions:
            return []
        version, status = next(iter(versions.items()))
        return [f"{{{{name: {name} version: {version}}} due to error: {status.code.name}: {status.message}}}, "]

    def _poll_forever(self) -> None:
        while not self._stopping.is_set():
            self._poll()
            if self._poll_s <= 0:
                return
            self._stopping.wait(self._poll_s)

    def _poll(self) -> None:
        aspired = self._source.poll(self._models)
        if aspired is None:
            return
        for name in self.manager.names():
            if name not in aspired:
                self.manager.set_aspired(name, {})
        for name, versions in aspired.items():
            self.manager.set_aspired(name, versions)


def single_model(name: str, base_path: Path | str) -> ServerConfig:
    """The configuration that `--model_name` and `--model_base_path` stand for."""
    return ServerConfig((ModelConfig(name, str(base_path)),))
