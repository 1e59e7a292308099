"""What the flags amount to: checks of flags that contradict one another, and the files that they name."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from modelport import layout
from modelport.errors import FailedPrecondition, InvalidArgument, NotFound
from modelport.repository import Repository
from modelport.serverconfig import (
    BatchingParameters,
    ModelConfig,
    ServerConfig,
    SslConfig,
    parse_batching,
    parse_models,
    parse_monitoring,
    parse_ssl,
    read,
)
from modelport.tensor_shapes import MAX_RANK
from modelport_serving.config import tls
from modelport_serving.config.options import AUTO, Options

_METRICS_PATH = "/monitoring/prometheus/metrics"
_ABOVE_0 = (
    "max_waiting_requests",
    "rest_api_max_json_depth",
    "rest_api_max_body_bytes",
    "rest_api_max_inflate_ratio",
    "rest_api_header_timeout_in_ms",
    "rest_api_body_timeout_in_ms",
    "rest_api_idle_timeout_in_ms",
    "rest_api_send_timeout_in_ms",
    "grace_seconds",
)


@dataclass(frozen=True)
class Settings:
    """The options and the content of their files."""

    options: Options
    models: ServerConfig
    batching: BatchingParameters
    metrics_path: str  # "" for no page
    ssl: SslConfig | None


def settle(options: Options) -> Settings:
    """Check the options and read their files.

    Raises:
        ModelportError: they contradict one another, or a file cannot be read; where the real server refuses the same,
            with its text.
    """
    _check(options)
    ssl = None
    if options.ssl_config_file:
        ssl = parse_ssl(read(options.ssl_config_file), repr(options.ssl_config_file))
        tls.check(ssl, options.ssl_config_file)
    parameters = BatchingParameters()
    if options.batching_parameters_file and not options.enable_per_model_batching_parameters:
        path = options.batching_parameters_file
        parameters = parse_batching(read(path), repr(path))
    return Settings(options, configuration(options), parameters, _metrics_path(options), ssl)


def configuration(options: Options) -> ServerConfig:
    """The models: those of the repository or of the configuration file as they are now, or the one that two flags name.

    Raises:
        NotFound, FailedPrecondition, PermissionDenied: the repository is not there, no folder, or cannot be read.
        ModelportError: the file cannot be read, or is no configuration.
    """
    if options.model_repository:
        return repository_models(options.model_repository)
    if not options.model_config_file:
        return single_model(options.model_name, options.model_base_path)
    text = read(options.model_config_file)
    if not text:  # a file cut short by whoever wrote it; one with a comment is a server without models
        raise InvalidArgument(f"{options.model_config_file}; Invalid argument")
    return parse_models(text, repr(options.model_config_file))


def single_model(name: str, base_path: Path | str) -> ServerConfig:
    """The configuration that `--model_name` and `--model_base_path` stand for."""
    return ServerConfig((ModelConfig(name, str(base_path)),))


def repository_models(root: str) -> ServerConfig:
    """Every model of a repository, as its `models.config` says, each other one by the newest of its versions.

    Raises:
        InvalidArgument: that file is no configuration.
        NotFound, FailedPrecondition, PermissionDenied: it is not there, no folder, or cannot be read.
    """
    repository = Repository(root)
    if not repository.root.is_dir():
        raise NotFound(f"Expected a model repository: a folder that holds a folder for each model. Received: {root!r}")
    if not repository.models() and layout.list_versions(repository.root):
        raise FailedPrecondition(
            f"Expected a model repository: a folder that holds a folder for each model. Received: {root!r}, which "
            f"holds versions, so it is one model. Serve {str(repository.root.parent)!r}, or --model_name="
            f"{repository.root.name} --model_base_path={repository.root}."
        )
    path = repository.root / layout.MODELS_CONFIG
    said = {}
    if path.exists():
        said = {model.name: model for model in parse_models(read(path), repr(str(path))).models or ()}
    return ServerConfig(
        tuple(
            # Wherever the file says that the model is: it is served from here.
            replace(said.get(name, ModelConfig(name, "")), base_path=str(repository.root / name))
            for name in repository.models()
        )
    )


def _metrics_path(options: Options) -> str:
    if not options.monitoring_config_file or not options.rest_api_port:
        return ""
    config = parse_monitoring(read(options.monitoring_config_file), repr(options.monitoring_config_file))
    return (config.path or _METRICS_PATH) if config.enable else ""


def _check(options: Options) -> None:
    if not options.port and not options.grpc_socket_path:
        raise InvalidArgument(
            "At least one of server_options.grpc_port or server_options.grpc_socket_path must be set. "
            "Give --port or --grpc_socket_path."
        )
    if not options.model_base_path and not options.model_config_file and not options.model_repository:
        raise InvalidArgument(
            "Both server_options.model_base_path and server_options.model_config_file are empty! Say what to serve: "
            "a model repository, --model_name=NAME --model_base_path=/absolute/path/to/NAME, or "
            "--model_config_file=FILE."
        )
    if options.model_repository and (options.model_base_path or options.model_config_file):
        raise InvalidArgument(
            f"Expected a model repository, or --model_base_path, or --model_config_file. Received: the repository "
            f"{options.model_repository!r} and another of them."
        )
    if options.batching_parameters_file and not options.enable_batching:
        raise InvalidArgument(
            "server_options.batching_parameters_file is set without setting server_options.enable_batching to true."
        )
    threads = (options.tensorflow_intra_op_parallelism, options.tensorflow_inter_op_parallelism)
    if options.tensorflow_session_parallelism > 0 and all(number > 0 for number in threads):
        raise InvalidArgument(
            "Either configure server_options.tensorflow_session_parallelism or (server_options."
            "tensorflow_intra_op_parallelism, server_options.tensorflow_inter_op_parallelism) separately. "
            "You cannot configure all."
        )
    if options.port == options.rest_api_port and options.port not in (0, AUTO):
        raise InvalidArgument(f"Expected different ports for gRPC and REST. Received: {options.port} for both.")
    if not 0 <= options.max_tensor_rank <= MAX_RANK:
        raise InvalidArgument(
            f"Expected --max_tensor_rank between 0 and {MAX_RANK}. Received: {options.max_tensor_rank}"
        )
    for name in _ABOVE_0:
        if not (value := getattr(options, name)) > 0:
            raise InvalidArgument(f"Expected --{name} above 0. Received: {value}")
    for name in ("run_threads", "max_num_load_retries", "load_retry_interval_micros", "rest_api_max_connections"):
        if (value := getattr(options, name)) < 0:
            raise InvalidArgument(f"Expected --{name} of 0 or more. Received: {value}")
