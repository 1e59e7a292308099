"""The server's core: configuration, source and manager wired together, and the names that requests use.

Knows nothing of gRPC and HTTP. The data plane asks it for handles, the servers tell it when to start and to stop.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Generic

from modelport.errors import Code, FailedPrecondition, InvalidArgument, Unavailable, Unknown
from modelport.serverconfig import ModelConfig, ServerConfig
from modelport.wire import messages
from modelport_serving.core.file_system_source import Source
from modelport_serving.core.harness import Handle, S
from modelport_serving.core.manager import Loader, Manager
from modelport_serving.core.servable_state import ServableId, State, StateBoard, VersionStatus

_SETTLE_POLL_S = 0.02


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
        _check_model(model)


def _check_model(model: ModelConfig) -> None:
    if not model.base_path.startswith("/") and "://" not in model.base_path:
        raise InvalidArgument(
            f"Expected model {model.name} to have an absolute path or URI; got base_path()={model.base_path}"
        )
    if model.model_type == messages.OTHER:
        raise InvalidArgument(f"ModelServerConfig::model_type choice {model.model_type} not supported.")
    if bool(model.model_type) == bool(model.platform):
        fault = "both" if model.platform else "neither"
        link = "and" if model.platform else "nor"
        raise InvalidArgument(
            f"Illegal setting {fault} ModelServerConfig::model_type (deprecated) {link} "
            f"ModelServerConfig::model_platform, model name is {model.name}"
        )
    if "://" in model.base_path:
        raise InvalidArgument(
            f"Expected the base path of model {model.name} on a local file system. Received: {model.base_path}. "
            "Mount it, or copy the versions to a local folder."
        )


class ServerCore(Generic[S]):
    """Serves the versions that a configuration and the disk ask for.

    Args:
        load: makes a servable of a version, warm-up included.
        warn: takes one line for a person.
        poll_s: seconds between two looks at the disk; 0 looks once, and after each change of the configuration.
        labels_for_unavailable: let a new label point at a version that is not available (yet).
        lenient: begin to serve what can be served, whatever becomes of the other models.
        load_threads, unload_threads, retries, retry_interval_s: see `Manager`.
    """

    def __init__(
        self,
        load: Loader[S],
        warn: Callable[[str], None],
        poll_s: float = 1.0,
        labels_for_unavailable: bool = False,
        lenient: bool = False,
        load_threads: int = 1,
        unload_threads: int = 1,
        retries: int = 5,
        retry_interval_s: float = 60.0,
    ) -> None:
        self.board = StateBoard()
        self.board.subscribe(lambda servable, status: _tell(warn, servable, status))
        self.manager: Manager[S] = Manager(
            load, self.board, load_threads, unload_threads, retries, retry_interval_s, warn
        )
        self._source = Source(warn)
        self._poll_s = poll_s
        self._labels_for_unavailable = labels_for_unavailable
        self._lenient = lenient
        self._models: tuple[ModelConfig, ...] = ()
        self._labels: dict[str, Mapping[str, int]] | None = None
        self._reload_lock = threading.Lock()
        self._models_lock = threading.Lock()
        self._warn = warn
        self._stopping = threading.Event()
        self._look_now = threading.Event()
        self._poller = threading.Thread(target=self._poll_forever, name="source", daemon=True)

    @property
    def models(self) -> tuple[ModelConfig, ...]:
        """The configured models."""
        return self._models

    def configure(self, config: ServerConfig) -> None:
        """Take the models of a configuration; the next look at the disk acts on them.

        The steps and their order are the real server's: labels are checked against what is available before.

        Raises:
            InvalidArgument: see `check_models`; nothing was changed.
            FailedPrecondition: a label may not be given as asked; nothing was changed.
        """
        models = config.models
        if models is None:  # an empty configuration: nothing to do, and nothing known of labels
            return
        check_models(models)
        self._check_platforms(models)
        self._check_labels(models)
        self._labels = {model.name: model.labels for model in models}
        for model in models:
            if model.platform not in ("", "tensorflow"):
                raise InvalidArgument(f"Model {model.name} requests unsupported platform {model.platform}")
        listed = {model.name for model in models}
        with self._models_lock:
            self._models = models
            for name in self.manager.names():
                if name not in listed:
                    self.manager.set_aspired(name, {})
        self._look_now.set()
        if any(model.has_logging for model in models):
            raise InvalidArgument("No request-logger-creator provided.")

    def reload(self, config: ServerConfig) -> None:
        """Replace the configuration of a running server; returns when each new model has answered or failed.

        Raises:
            InvalidArgument, FailedPrecondition: see `configure`.
            Unknown: a new model has no version that could be loaded; it stays configured.
            Unavailable: the server is stopping.
        """
        with self._reload_lock:
            known = {model.name for model in self._models}
            self.configure(config)
            new = [model.name for model in self._models if model.name not in known]
            if not self._wait_until_settled(new, self._stopping.is_set):
                raise Unavailable("The server is stopping.")
            self._raise_failed(new, "model(s)")

    def start(self, give_up: Callable[[], bool]) -> bool:
        """Begin to poll and wait until every model has a version that answers, or has failed for good.

        Returns False when `give_up()` said to stop waiting.

        Raises:
            Unknown: no version of some model could be loaded; the reasons are in the message.
        """
        self._poller.start()
        names = [model.name for model in self._models]
        if not self._wait_until_settled(names, give_up):
            return False
        if not self._lenient:
            self._raise_failed(names, "servable(s)")
        return True

    def handle(self, spec: messages.ModelSpec) -> Handle[S]:
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

    def version_states(self) -> dict[tuple[str, ...], float]:
        """(model, version, state) → 1 for every version that was ever managed; for the metrics."""
        return {(i.name, str(i.version), status.state.name): 1 for i, status in self.board.entries()}

    def unready(self) -> list[str]:
        """Why not every configured model answers, a line each; empty when all do."""
        lines = []
        for model in self._models:
            if self.manager.available(model.name):
                continue
            version, status = next(iter(self.board.versions(model.name).items()), (None, None))
            state = "no version found" if status is None else f"version {version} is {status.state.name}"
            trouble = f": {status.message}" if status is not None and status.message else ""
            lines.append(f"model {model.name}: {state}{trouble}")
        return lines

    def end_waits(self) -> None:
        """Let reloads that wait for a model end with UNAVAILABLE."""
        self._stopping.set()
        self._look_now.set()

    def stop(self, seconds: float) -> bool:
        """Unload everything and end all threads; what hangs is left behind after so many seconds.

        Returns:
            Whether nothing was left behind.
        """
        deadline = time.monotonic() + seconds
        self.end_waits()
        if self._poller.is_alive():
            self._poller.join(seconds)
        return self.manager.stop(max(deadline - time.monotonic(), 0.0)) and not self._poller.is_alive()

    def _labelled(self, name: str, label: str) -> int:
        if self._labels is None:  # no list of models was ever applied
            raise Unavailable(f"Model labels does not init yet.{label}")
        version = self._labels.get(name, {}).get(label)
        if version is None:
            raise InvalidArgument(f"Unrecognized servable version label: {label}")
        return version

    def _check_platforms(self, models: Sequence[ModelConfig]) -> None:
        before = {model.name: model.platform or "tensorflow" for model in self._models}
        for model in models:
            platform = model.platform or "tensorflow"
            if before.get(model.name, platform) != platform:
                raise InvalidArgument(
                    f"Illegal to change a model's platform. For model {model.name} platform was {before[model.name]} "
                    f"and new platform requested is {platform}"
                )

    def _check_labels(self, models: Sequence[ModelConfig]) -> None:
        for model in models:
            available = self.manager.available(model.name)
            before = (self._labels or {}).get(model.name, {})
            for label, version in model.labels.items():
                excused = self._labels_for_unavailable and before.get(label, version) == version
                if version not in available and not excused:
                    raise FailedPrecondition(
                        f"Request to assign label to version {version} of model {model.name}, which is not currently "
                        "available for inference"
                    )

    def _wait_until_settled(self, names: Sequence[str], give_up: Callable[[], bool]) -> bool:
        """Wait until each model has a version, of those that ought to be served, that answers or has failed."""
        while not all(self.manager.settled(name, tried=self._lenient) for name in names):
            if give_up() or self._stopping.wait(_SETTLE_POLL_S):
                return False
        return True

    def _raise_failed(self, names: Sequence[str], what: str) -> None:
        failed = [line for name in names for line in self._failure(name)]
        if failed:
            raise Unknown(f"{len(failed)} {what} did not become available: {{{''.join(failed)}}}")

    def _failure(self, name: str) -> list[str]:
        if self.manager.available(name):
            return []
        failed = [entry for entry in self.board.versions(name).items() if entry[1].state is State.END]
        if not failed:
            return []
        version, status = failed[0]
        return [f"{{{ServableId(name, version)} due to error: {status.code.name}: {status.message}}}, "]

    def _poll_forever(self) -> None:
        while not self._stopping.is_set():
            self._look_now.clear()
            try:
                self._poll()
            except Exception as error:  # whatever one folder holds, the others are still to be looked after
                self._warn(f"Looking at the base paths failed: {type(error).__name__}: {error}")
            self._look_now.wait(self._poll_s if self._poll_s > 0 else None)

    def _poll(self) -> None:
        models = self._models
        aspired = self._source.poll(models)
        with self._models_lock:
            if self._models is not models:  # replaced while the disk was read: the next look is about to be taken
                return
            for name, versions in (aspired or {}).items():
                self.manager.set_aspired(name, versions)


def _tell(say: Callable[[str], None], servable: ServableId, status: VersionStatus) -> None:
    """A line for a person about what became of a version."""
    which = f"{servable.name} version {servable.version}"
    if status.state is State.AVAILABLE:
        say(f"{which}: AVAILABLE")
    elif status.state is State.END and status.code is not Code.OK:
        say(f"{which}: not served, {status.code.name}: {_first_line(status.message)}")
    elif status.state is State.END:
        say(f"{which}: unloaded")


def _first_line(text: str) -> str:
    return text.partition("\n")[0]
