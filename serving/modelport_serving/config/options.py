"""The server's options: the flags of `tensorflow_model_server`, each once, as the fields of one dataclass.

Name, type, default and help stand in the field; `flags.parse` fills the dataclass from a command line and the server
takes it whole. Source of names and defaults: `model_servers/main.cc` of TensorFlow Serving. Fields marked `ours` have
no counterpart there; fields with `unused` are accepted for the sake of scripts written for the real server, and say why
they change nothing; fields with `refused` are known, and end the start with what to use instead.
"""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass, field
from typing import Any, Literal

from modelport.tensor_shapes import MAX_RANK

AUTO = -1
"""A port number that asks for any free port; on the command line `auto`."""


def flag(default: Any, text: str, *, ours: bool = False, unused: str = "", refused: str = "") -> Any:
    """A field of `Options`: its default, one line of help, and what sets it apart from the real server's flag."""
    return field(default=default, metadata={"help": text, "ours": ours, "unused": unused, "refused": refused})


_NO_GPU = "the embedded server runs on the CPU"
_NO_TFLITE = "the embedded server runs SavedModels only"


@dataclass(frozen=True)
class Options:
    """Everything that can be said about a server when it is started."""

    # Models
    model_name: str = flag("default", "name of the one model, where there is no model_config_file")
    model_base_path: str = flag("", "folder of its versions, absolute")
    model_config_file: str = flag("", "text ModelServerConfig; model_name and model_base_path are then ignored")
    model_repository: str = flag("", "folder of models, all of which are served; also as the only word", ours=True)
    model_config_file_poll_wait_seconds: int = flag(0, "seconds between two readings of model_config_file; 0: once")
    allow_version_labels_for_unavailable_models: bool = flag(
        False, "let new labels point at versions not available yet"
    )
    saved_model_tags: str = flag("serve", "tag set of the meta graph to load, comma separated")
    file_system_poll_wait_seconds: int = flag(1, "seconds between two looks at the base paths; 0 looks once")
    # Ports
    host: str = flag("127.0.0.1", "address to listen on; 0.0.0.0 for all", ours=True)
    port: int = flag(8500, "gRPC port; 0: none (then grpc_socket_path is needed), auto: any free one")
    grpc_socket_path: str = flag("", "unix socket for gRPC, beside or instead of the port")
    rest_api_port: int = flag(0, "REST port; 0: none, auto: any free one")
    rest_api_timeout_in_ms: int = flag(30000, "limit of one REST inference; 0 or less: none")
    rest_api_header_timeout_in_ms: int = flag(10_000, "how long the head of a REST request may take", ours=True)
    rest_api_body_timeout_in_ms: int = flag(30_000, "how long a body may bring nothing (under 1 KiB)", ours=True)
    rest_api_idle_timeout_in_ms: int = flag(300_000, "how long a connection may wait for its next request", ours=True)
    rest_api_send_timeout_in_ms: int = flag(30_000, "how long a client may read nothing of its answer", ours=True)
    rest_api_max_connections: int = flag(
        0, "most open REST connections; 0: half of 'ulimit -n', at most 10000", ours=True
    )
    rest_api_readers: int = flag(
        -1, "processes that read long REST bodies; 0: none, -1: one fewer than cores, at most 4", ours=True
    )
    rest_api_enable_cors_support: bool = flag(False, "add the CORS headers to every REST answer")
    ssl_config_file: str = flag("", "text SSLConfig; both ports then speak TLS only")
    grpc_channel_arguments: str = flag("", "k=v,k=v for the gRPC server; integers where v is one")
    grpc_implementation: Literal["auto", "completion_queue", "aio"] = flag(
        "auto", "how gRPC is served: from its core's queue, or by the slower public grpc.aio", ours=True
    )
    enable_grpc_healthcheck_service: bool = flag(False, "answer grpc.health.v1.Health")
    # Loading
    num_load_threads: int = flag(0, "versions that may load at a time; 0: two")
    num_unload_threads: int = flag(0, "versions that may unload at a time; 0: one")
    max_num_load_retries: int = flag(5, "further attempts after a failed load")
    load_retry_interval_micros: int = flag(60_000_000, "pause between attempts, in microseconds")
    enable_model_warmup: bool = flag(True, "replay assets.extra/tf_serving_warmup_requests before a version answers")
    num_request_iterations_for_warmup: int = flag(0, "times that each warm-up request is run; 0: once")
    # Running
    tensorflow_session_parallelism: int = flag(0, "threads within and between operations; 0: TensorFlow decides")
    tensorflow_intra_op_parallelism: int = flag(0, "threads within an operation; 0: TensorFlow decides")
    tensorflow_inter_op_parallelism: int = flag(0, "threads between operations; 0: TensorFlow decides")
    tensorflow_session_config_file: str = flag("", "text tensorflow.ConfigProto; the thread flags override it")
    run_threads: int = flag(0, "model runs under way at a time; 0: one per core", ours=True)
    enable_batching: bool = flag(False, "join requests as batching_parameters_file says")
    batching_parameters_file: str = flag("", "text BatchingParameters, with enable_batching")
    enable_per_model_batching_parameters: bool = flag(False, "take them from <version>/batching_params.pbtxt instead")
    join_requests: Literal["all", "proven", "none"] = flag(
        "proven", "whose waiting requests share runs without enable_batching: see docs/differences.md", ours=True
    )
    enable_signature_method_name_check: bool = flag(False, "refuse signatures whose method name is not the call's")
    enable_serialization_as_tensor_content: bool = flag(False, "answer Predict with tensor_content")
    # Safety
    max_waiting_requests: int = flag(1024, "requests that may wait for a run; more are refused at once", ours=True)
    max_tensor_rank: int = flag(MAX_RANK, f"most dimensions of a tensor in a request, at most {MAX_RANK}", ours=True)
    rest_api_max_json_depth: int = flag(1000, "most arrays and objects inside one another in a body", ours=True)
    rest_api_max_body_bytes: int = flag(256 * 2**20, "largest body of a REST request, also after inflating", ours=True)
    rest_api_max_inflate_ratio: int = flag(200, "how many times larger a gzip body over 1 MiB may inflate", ours=True)
    enable_reload: bool = flag(True, "answer HandleReloadConfigRequest", ours=True)
    enable_reflection: bool = flag(True, "answer grpc.reflection", ours=True)
    # Watching
    monitoring_config_file: str = flag("", "text MonitoringConfig: the Prometheus page on the REST port")
    access_log: str = flag("", "file that gets a line of JSON for each request; -: standard output", ours=True)
    # Stopping
    grace_seconds: float = flag(30.0, "how long requests under way may take after SIGTERM", ours=True)
    # Accepted, without effect
    rest_api_num_threads: int = flag(0, "", unused="one event loop serves all connections")
    grpc_max_threads: int = flag(0, "", unused="one event loop serves all calls")
    flush_filesystem_caches: bool = flag(True, "", unused="the operating system minds its cache")
    remove_unused_fields_from_bundle_metagraph: bool = flag(True, "", unused="only the signatures are kept anyway")
    per_process_gpu_memory_fraction: float = flag(0.0, "", unused=_NO_GPU)
    prefer_tflite_model: bool = flag(False, "", unused=_NO_TFLITE)
    num_tflite_pools: int = flag(1, "", unused=_NO_TFLITE)
    num_tflite_interpreters_per_pool: int = flag(1, "", unused=_NO_TFLITE)
    xla_cpu_compilation_enabled: bool = flag(False, "", unused="TensorFlow compiles what a model asks for")
    xla_gpu_compilation_enabled: bool = flag(False, "", unused=_NO_GPU)
    enable_profiler: bool = flag(True, "", unused="there is no profiler service on the embedded server's port")
    thread_pool_factory_config_file: str = flag("", "", unused="the stock server has no such factory either")
    mixed_precision: str = flag("", "", unused=_NO_GPU)
    skip_initialize_tpu: bool = flag(False, "", unused=_NO_GPU)
    # Refused when given, because starting without them would be another server than the one asked for
    use_alts_credentials: bool = flag(False, "", refused="ALTS is not offered; use --ssl_config_file")
    platform_config_file: str = flag("", "", refused="use the flags for batching, warm-up, tags and threads")

    def given(self) -> list[str]:
        """The names of the fields that differ from their defaults."""
        return [f.name for f in dataclasses.fields(self) if getattr(self, f.name) != f.default]

    def run_thread_count(self) -> int:
        """How many model runs may be under way at a time."""
        return self.run_threads or os.cpu_count() or 1
