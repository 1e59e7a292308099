"""The server object: start, addresses, stop. One event loop in a thread of its own; embeddable, and what the CLI runs.

Life: load → (every model answers) → open the ports → serve → drain → unload. As in the real server the ports open only
when the models are ready, so whoever can connect gets answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import grpc
import uvloop

from modelport.errors import Aborted, InvalidArgument, ModelportError, Unavailable
from modelport.serverconfig import ServerConfig, parse_models, read
from modelport_serving import warmup
from modelport_serving.core import ServerCore, single_model
from modelport_serving.dataplane import Rules, Run, plan_predict
from modelport_serving.example_inference import plan_classify, plan_multi_inference, plan_regress
from modelport_serving.execution import Execution
from modelport_serving.grpc_api import GrpcApi
from modelport_serving.grpc_extras import add_health, add_reflection
from modelport_serving.http_protocol import HttpProtocol
from modelport_serving.options import AUTO, Options
from modelport_serving.servable import Servable
from modelport_serving.states import ServableId

T = TypeVar("T")


class Server:
    """The embedded server.

    Args:
        options: the flags; `port=AUTO` takes any free port.
        warn: takes one line for a person about something that is amiss; by default it is dropped.
        give_up: asked while `start` waits for the models; True ends the wait.

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
        _check(options)
        self.options = options
        self.grpc_port = options.port
        self.rest_port = options.rest_api_port
        self._config = _configuration(options)
        self.core = ServerCore(
            self._load,
            warn,
            poll_s=options.file_system_poll_wait_seconds,
            labels_for_unavailable=options.allow_version_labels_for_unavailable_models,
            load_threads=options.num_load_threads,
            unload_threads=options.num_unload_threads,
            retries=options.max_num_load_retries,
            retry_interval_s=options.load_retry_interval_micros / 1e6,
        )
        self._rules = Rules(
            check_method_name=options.enable_signature_method_name_check,
            tensor_content=options.enable_serialization_as_tensor_content,
        )
        self._execution = Execution(options.run_thread_count())
        self._give_up = give_up
        self._warn = warn
        self._stopping = threading.Event()
        self._config_poller = threading.Thread(target=self._poll_config, name="config", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._grpc: grpc.aio.Server | None = None
        self._http: asyncio.Server | None = None
        self._connections: set[HttpProtocol] = set()

    def __enter__(self) -> Server:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def grpc_address(self) -> str:
        """What a gRPC client connects to: host and port, or the unix socket."""
        if self.grpc_port:
            return f"{self.options.host}:{self.grpc_port}"
        return f"unix:{self.options.grpc_socket_path}"

    @property
    def rest_address(self) -> str | None:
        """The URL of the REST port; None without one."""
        return f"http://{self.options.host}:{self.rest_port}" if self.rest_port else None

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
                _check_free(options.host, port)
            self.core.configure(self._config)
            if not self.core.start(self._give_up):
                raise Aborted("Stopped before the models were ready.")
            self._loop = uvloop.new_event_loop()
            self._thread = threading.Thread(target=self._loop.run_forever, name="event-loop", daemon=True)
            self._thread.start()
            self._call(self._open())
            if options.model_config_file and options.model_config_file_poll_wait_seconds > 0:
                self._config_poller.start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Refuse new requests, answer those under way (for at most `grace_seconds`), unload, and end all threads."""
        self._stopping.set()
        if self._loop is not None and self._thread is not None:
            self._call(self._drain())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()
            self._loop = None
        self._execution.stop()
        self.core.stop()
        if self._config_poller.is_alive():
            self._config_poller.join()

    def _load(self, servable_id: ServableId, path: Path) -> Servable:
        """Load one version and replay its warm-up requests; called on a load thread."""
        from modelport_serving.session import GraphSession, session_config

        options = self.options
        begin = time.monotonic()
        session = GraphSession(path, tuple(options.saved_model_tags.split(",")), session_config(options))
        servable = Servable(servable_id, path, session, time.monotonic() - begin)
        if options.enable_model_warmup:
            try:
                servable.warmup_s = warmup.replay(path, _replayers(servable), options.num_request_iterations_for_warmup)
            except BaseException:
                servable.close()
                raise
        return servable

    def _poll_config(self) -> None:
        """Apply the configuration file again and again; what is wrong with it is said once, and the old one kept."""
        said = ""
        while not self._stopping.wait(self.options.model_config_file_poll_wait_seconds):
            try:
                self.core.reload(_configuration(self.options))
                said = ""
            except ModelportError as error:
                if error.message != said:
                    said = error.message
                    self._warn(f"The configuration was not taken up: {said}")

    async def _open(self) -> None:
        options = self.options
        self._grpc = grpc.aio.server(options=_grpc_options(options))
        self._grpc.add_generic_rpc_handlers((GrpcApi(self.core, self._execution, self._rules),))
        add_reflection(self._grpc)
        if options.enable_grpc_healthcheck_service:
            await add_health(self._grpc)
        if options.port:
            wanted = 0 if options.port == AUTO else options.port
            try:
                self.grpc_port = self._grpc.add_insecure_port(f"{options.host}:{wanted}")
            except RuntimeError as error:
                raise _taken(options.host, wanted) from error
        if options.grpc_socket_path:
            try:
                self._grpc.add_insecure_port(f"unix:{options.grpc_socket_path}")
            except RuntimeError as error:
                raise Unavailable(f"Cannot listen on the unix socket {options.grpc_socket_path!r}: {error}") from error
        await self._grpc.start()
        if options.rest_api_port:
            await self._open_rest()

    async def _open_rest(self) -> None:
        from modelport_serving.rest_api import Limits, RestApi  # JSON is not needed by a server that speaks gRPC only

        options = self.options
        timeout_s = options.rest_api_timeout_in_ms / 1000 if options.rest_api_timeout_in_ms > 0 else None
        limits = Limits(timeout_s, options.rest_api_max_body_bytes)
        api = RestApi(self.core, self._execution, limits, self._rules, cors=options.rest_api_enable_cors_support)
        wanted = 0 if options.rest_api_port == AUTO else options.rest_api_port
        try:
            self._http = await asyncio.get_running_loop().create_server(
                lambda: HttpProtocol(api, self._connections, limits.max_body_bytes), options.host, wanted, backlog=1024
            )
        except OSError as error:
            raise _taken(options.host, wanted) from error
        self.rest_port = self._http.sockets[0].getsockname()[1]

    async def _drain(self) -> None:
        grace = self.options.grace_seconds
        deadline = time.monotonic() + grace
        if self._http is not None:
            self._http.close()
        for connection in list(self._connections):
            connection.drain()
        if self._grpc is not None:
            await self._grpc.stop(grace)
        while self._connections and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        for connection in list(self._connections):
            connection.abort()
        await asyncio.sleep(0)  # lets the loop close what was aborted

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the event loop and wait for it."""
        assert self._loop is not None  # noqa: S101  # only called between start and stop
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


def _check(options: Options) -> None:
    """Refuse what the real server refuses at start, with its texts."""
    if not options.port and not options.grpc_socket_path:
        raise InvalidArgument(
            "At least one of server_options.grpc_port or server_options.grpc_socket_path must be set."
        )
    if not options.model_base_path and not options.model_config_file:
        raise InvalidArgument("Both server_options.model_base_path and server_options.model_config_file are empty!")
    threads = (options.tensorflow_intra_op_parallelism, options.tensorflow_inter_op_parallelism)
    if options.tensorflow_session_parallelism > 0 and all(number > 0 for number in threads):
        raise InvalidArgument(
            "Either configure server_options.tensorflow_session_parallelism or (server_options."
            "tensorflow_intra_op_parallelism, server_options.tensorflow_inter_op_parallelism) separately. "
            "You cannot configure all."
        )
    if options.port == options.rest_api_port and options.port not in (0, AUTO):
        raise InvalidArgument(f"Expected different ports for gRPC and REST. Received: {options.port} for both.")


def _configuration(options: Options) -> ServerConfig:
    if not options.model_config_file:
        return single_model(options.model_name, options.model_base_path)
    text = read(options.model_config_file)
    if not text:  # a file cut short by whoever wrote it; one with a comment is a server without models
        raise InvalidArgument(f"{options.model_config_file}; Invalid argument")
    return parse_models(text, repr(options.model_config_file))


def _check_free(host: str, port: int) -> None:
    """Find out before the models are loaded whether a port can be had."""
    if port in (0, AUTO):
        return
    with contextlib.closing(socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except socket.gaierror as error:
            raise InvalidArgument(f"Expected an address to listen on for --host. Received: {host!r}") from error
        except OSError as error:
            raise _taken(host, port) from error


def _taken(host: str, port: int) -> Unavailable:
    return Unavailable(
        f"Cannot listen on {host}:{port}: the port is in use or not ours to take. "
        "Choose another with --port/--rest_api_port, or 'auto' for any free one."
    )


def _grpc_options(options: Options) -> list[tuple[str, str | int]]:
    chosen: list[tuple[str, str | int]] = [
        ("grpc.max_receive_message_length", 2**31 - 1),
        ("grpc.max_send_message_length", -1),
        ("grpc.so_reuseport", 0),  # two servers on one port would share its traffic unnoticed
    ]
    for pair in filter(None, options.grpc_channel_arguments.split(",")):
        key, equals, value = pair.partition("=")
        if not equals:
            raise InvalidArgument(f"Expected --grpc_channel_arguments as k=v,k=v. Received: {pair!r}")
        chosen.append((key, int(value) if value.lstrip("-").isdecimal() else value))
    return chosen


def _replayers(servable: Servable) -> warmup.Replayers:
    """How the kinds of recorded requests run on a loading version; method names are never checked here."""
    rules = Rules()

    def replay(run: Run[Any]) -> object:
        return run.finish(servable.run(run.feeds, run.fetches))

    return {
        "predict_log": lambda request: replay(plan_predict(servable, request, rules)),
        "classify_log": lambda r: replay(plan_classify(servable, r.model_spec.signature_name, r.input, rules)),
        "regress_log": lambda r: replay(plan_regress(servable, r.model_spec.signature_name, r.input, rules)),
        "multi_inference_log": lambda request: replay(plan_multi_inference(servable, request, rules)),
    }
