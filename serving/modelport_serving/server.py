"""The server object: start, addresses, stop. One event loop in a thread of its own; embeddable, and what the CLI runs.

Life: load → (every model answers) → open the ports → serve → drain → close → unload. As in the real server the ports
open only when the models are ready, so whoever can connect gets answers.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import uvloop

from modelport.errors import Aborted, ModelportError
from modelport_serving.batching import parameters as batching
from modelport_serving.batching.batch_queue import Batch
from modelport_serving.batching.merging import Outcome
from modelport_serving.batching.scheduler import Scheduler
from modelport_serving.config import ports
from modelport_serving.config.options import Options
from modelport_serving.config.settings import configuration, settle
from modelport_serving.core.server_core import ServerCore
from modelport_serving.inference.data_plane import DataPlane
from modelport_serving.inference.off_loop import OffLoop
from modelport_serving.inference.run import Rules
from modelport_serving.listeners import Listeners
from modelport_serving.monitoring.metrics import Metrics
from modelport_serving.monitoring.request_log import AccessLog, Calls
from modelport_serving.servables.batch_limits import BatchLimits
from modelport_serving.servables.saved_model_loader import SavedModelLoader
from modelport_serving.servables.servable import Servable

T = TypeVar("T")

_LOAD_THREADS = 2  # so that a load that takes for ever does not keep all other models from being loaded
_REPOSITORY_POLL_S = 1.0  # between two looks at which models a repository has
_CLOSE_S = 10.0  # for the ports to close once everything was answered
_LEFT_S = 2.0  # that a stop waits beyond the grace for a run or a load that does not end, before it leaves it behind


class Server:
    """The embedded server.

    Args:
        options: the flags; `port=AUTO` takes any free port.
        warn: takes one line for a person about something that is amiss; by default it is dropped. Must not block.
        give_up: asked while `start` waits for the models; True ends the wait.

    Raises:
        ModelportError: the options contradict one another, or a file that they name cannot be read.

    Example:
        with Server(Options(model_name="digits", model_base_path="/models/digits", port=AUTO)) as server:
            Client(server.grpc_address).predict("digits", …)
    """

    def __init__(
        self,
        options: Options,
        warn: Callable[[str], None] = lambda line: None,
        give_up: Callable[[], bool] = lambda: False,
    ) -> None:
        self._settings = settle(options)
        self.options = options
        is_repository = bool(options.model_repository)
        self.metrics = Metrics(lambda: self.core.version_states(), lambda: self._scheduler.waiting)
        self.core: ServerCore[Servable] = ServerCore(
            SavedModelLoader(options, self._limits_of, self._warm_up, self.metrics),
            warn,
            poll_s=options.file_system_poll_wait_seconds,
            # A repository's own file was checked when it was written, and its models come up one after the other.
            labels_for_unavailable=options.allow_version_labels_for_unavailable_models or is_repository,
            lenient=is_repository,
            load_threads=options.num_load_threads or _LOAD_THREADS,
            unload_threads=options.num_unload_threads,
            retries=options.max_num_load_retries,
            retry_interval_s=options.load_retry_interval_micros / 1e6,
        )
        rules = Rules(
            check_method_name=options.enable_signature_method_name_check,
            tensor_content=options.enable_serialization_as_tensor_content,
            max_rank=options.max_tensor_rank,
        )
        is_watched = bool(self._settings.metrics_path)
        self._log = AccessLog(options.access_log, warn) if options.access_log else None
        batch_threads = batching.thread_count(self._settings.batching)
        self._scheduler = Scheduler(
            batch_threads if options.enable_batching else options.run_thread_count(),
            options.max_waiting_requests,
            watch=self._measure if is_watched else None,
        )
        self._off_loop = OffLoop()
        self._plane = DataPlane(
            self.core, self._scheduler, self._off_loop, rules, self.metrics, reloads=options.enable_reload
        )
        calls = Calls(self.metrics if is_watched else None, self._log)
        self._listeners = Listeners(self._settings, self._plane, calls, self.metrics, warn)
        self._give_up = give_up
        self._warn = warn
        self._stopping = threading.Event()
        self._config_poller = threading.Thread(target=self._poll_config, name="config", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Server:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def grpc_port(self) -> int:
        """The gRPC port; 0 while none is open."""
        return self._listeners.grpc_port

    @property
    def rest_port(self) -> int:
        """The REST port; 0 while none is open."""
        return self._listeners.rest_port

    @property
    def grpc_address(self) -> str:
        """What a gRPC client on this machine connects to: host and port, or the unix socket."""
        if self._listeners.grpc_port:
            return ports.reachable(self.options.host, self._listeners.grpc_port)
        return f"unix:{self.options.grpc_socket_path}"

    @property
    def rest_address(self) -> str | None:
        """The URL of the REST port for a client on this machine; None without one."""
        scheme = "http" if self._settings.ssl is None else "https"
        port = self._listeners.rest_port
        return f"{scheme}://{ports.reachable(self.options.host, port)}" if port else None

    def start(self) -> None:
        """Load all models, then open the ports. Returns when the server answers.

        Raises:
            Unavailable: a port is taken.
            Unknown: a model has no version that could be loaded; the text gives the reasons.
            Aborted: `give_up` said so.
        """
        options = self.options
        try:
            for port in (options.port, options.rest_api_port):
                ports.check_free(options.host, port)
            ports.check_unix_socket(options.grpc_socket_path)
            self.core.configure(self._settings.models)
            if not self.core.start(self._give_up):
                raise Aborted("Stopped before the models were ready.")
            self._loop = uvloop.new_event_loop()
            self._thread = threading.Thread(target=self._loop.run_forever, name="event-loop", daemon=True)
            self._thread.start()
            self._call(self._listeners.open())
            if self._config_poll_s() > 0:
                self._config_poller.start()
        except BaseException:
            self.stop()
            raise

    def drain(self) -> bool:
        """Refuse new requests, answer those under way, for at most `grace_seconds`, and close the ports.

        Returns:
            Whether everything was answered.
        """
        self._stopping.set()
        self.core.end_waits()
        if self._loop is None:
            return True
        answered = self._call(self._listeners.drain())
        try:
            self._call(self._listeners.close(), _CLOSE_S)
        except TimeoutError:
            answered = False
        return answered

    def stop(self) -> bool:
        """Drain, unload, and end all threads. What does not end is left behind.

        Returns:
            Whether nothing was left behind.
        """
        ended = self.drain()
        if self._loop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(_CLOSE_S)
            if not self._thread.is_alive():
                self._loop.close()
            self._loop = None
        deadline = time.monotonic() + _LEFT_S
        ended &= self._scheduler.stop(_LEFT_S)
        ended &= self.core.stop(max(deadline - time.monotonic(), 0.0))
        self._off_loop.stop()
        self._plane.stop()
        if self._config_poller.is_alive():
            self._config_poller.join(max(deadline - time.monotonic(), 0.0))
        self.close_log()
        return ended

    def reopen_log(self) -> None:
        """Go on in a new access log of the same name: the old one was moved away."""
        if self._log is not None:
            self._log.reopen()

    def close_log(self) -> None:
        """Write the lines of the access log that wait, and close it."""
        if self._log is not None:
            self._log.close()

    def _limits_of(self, version_path: Path) -> BatchLimits | None:
        if not self.options.enable_batching:
            return None
        if self.options.enable_per_model_batching_parameters:
            return batching.limits_in(version_path)
        return batching.limits_of(self._settings.batching)

    def _warm_up(self, servable: Servable) -> None:
        if self.options.enable_model_warmup:
            self._plane.warm_up(servable, self.options.num_request_iterations_for_warmup)

    def _config_poll_s(self) -> float:
        if self.options.model_repository:
            return _REPOSITORY_POLL_S
        return self.options.model_config_file_poll_wait_seconds if self.options.model_config_file else 0.0

    def _poll_config(self) -> None:
        """Apply the configuration again and again; what is wrong with it is said once, and the old one kept."""
        said, before = "", self._settings.models
        # Of a repository nobody waits for one model: a broken one, tried again for minutes, would keep others away.
        take_up = self.core.configure if self.options.model_repository else self.core.reload
        while not self._stopping.wait(self._config_poll_s()):
            try:
                found = configuration(self.options)
                if found != before or not self.options.model_repository:
                    take_up(found)
                said, before = "", found
            except ModelportError as error:
                if error.message != said:
                    said = error.message
                    self._warn(f"The configuration was not taken up: {said}")

    def _measure(self, batch: Batch, outcomes: Sequence[Outcome], seconds: float) -> None:
        """Put a run into the metrics; called for every batch where somebody can read them."""
        servable = batch.tasks[0].handle.servable
        self.metrics.ran_together(servable.id.name, servable.id.version, len(batch.tasks), seconds)
        for task, outcome in zip(batch.tasks, outcomes, strict=True):
            if isinstance(outcome, list):
                self.metrics.ran(servable.id.name, task.api, seconds)
        if batch.limits.asked:
            waited = [batch.taken - task.since for task in batch.tasks]
            self.metrics.batched([task.rows or 0 for task in batch.tasks], waited)

    def _call(self, work: Coroutine[Any, Any, T], seconds: float | None = None) -> T:
        """Run a coroutine on the event loop and wait for it."""
        assert self._loop is not None  # noqa: S101  # only called between start and stop
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(seconds)
