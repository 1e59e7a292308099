"""The server object: start, addresses, stop. One event loop in a thread of its own; embeddable, and what the CLI runs.

Life: load → (every model answers) → open the ports → serve → drain → unload. As in the real server the ports open only
when the models are ready, so whoever can connect gets answers.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from types import TracebackType
from typing import Any, TypeVar

import uvloop

from modelport.errors import Aborted, ModelportError
from modelport_serving.calls import AccessLog, Calls
from modelport_serving.core import ServerCore
from modelport_serving.dataplane import Rules
from modelport_serving.execution import Execution
from modelport_serving.joining import Outcome
from modelport_serving.lanes import Batch
from modelport_serving.listeners import Listeners
from modelport_serving.loading import Loader
from modelport_serving.metrics import Metrics
from modelport_serving.options import Options
from modelport_serving.ports import check_free
from modelport_serving.settings import configuration, settle

T = TypeVar("T")


class Server:
    """The embedded server.

    Args:
        options: the flags; `port=AUTO` takes any free port.
        warn: takes one line for a person about something that is amiss; by default it is dropped.
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
        self.metrics = Metrics(lambda: self.core.board, lambda: self._execution.waiting)
        self.core = ServerCore(
            Loader(options, self._settings.batching, self.metrics),
            warn,
            poll_s=options.file_system_poll_wait_seconds,
            labels_for_unavailable=options.allow_version_labels_for_unavailable_models,
            load_threads=options.num_load_threads,
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
        self._log = AccessLog(options.access_log) if options.access_log else None
        self._execution = Execution(
            self._settings.run_threads,
            options.max_waiting_requests,
            join=options.join_requests,
            watch=self._measure if is_watched else None,
        )
        calls = Calls(self.metrics if is_watched else None, self._log)
        self._listeners = Listeners(self._settings, self.core, self._execution, rules, calls, self.metrics)
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
        """What a gRPC client connects to: host and port, or the unix socket."""
        if self._listeners.grpc_port:
            return f"{self.options.host}:{self._listeners.grpc_port}"
        return f"unix:{self.options.grpc_socket_path}"

    @property
    def rest_address(self) -> str | None:
        """The URL of the REST port; None without one."""
        scheme = "http" if self._settings.ssl is None else "https"
        port = self._listeners.rest_port
        return f"{scheme}://{self.options.host}:{port}" if port else None

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
                check_free(options.host, port)
            self.core.configure(self._settings.models)
            if not self.core.start(self._give_up):
                raise Aborted("Stopped before the models were ready.")
            self._loop = uvloop.new_event_loop()
            self._thread = threading.Thread(target=self._loop.run_forever, name="event-loop", daemon=True)
            self._thread.start()
            self._call(self._listeners.open())
            if options.model_config_file and options.model_config_file_poll_wait_seconds > 0:
                self._config_poller.start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Refuse new requests, answer those under way (for at most `grace_seconds`), unload, and end all threads."""
        self._stopping.set()
        self.core.end_waits()
        if self._loop is not None and self._thread is not None:
            self._call(self._listeners.drain())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()
            self._loop = None
        self._execution.stop()
        self.core.stop()
        if self._config_poller.is_alive():
            self._config_poller.join()
        if self._log is not None:
            self._log.close()

    def _poll_config(self) -> None:
        """Apply the configuration file again and again; what is wrong with it is said once, and the old one kept."""
        said = ""
        while not self._stopping.wait(self.options.model_config_file_poll_wait_seconds):
            try:
                self.core.reload(configuration(self.options))
                said = ""
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
        if batch.lane.limits.asked:
            waited = [batch.taken - task.since for task in batch.tasks]
            self.metrics.batched([task.rows for task in batch.tasks], waited)

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the event loop and wait for it."""
        assert self._loop is not None  # noqa: S101  # only called between start and stop
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()
