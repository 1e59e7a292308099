"""The text protos that `tensorflow_model_server` reads ⇄ dataclasses: one configuration for both servers.

`parse_*` read what a person wrote, `format_*` write what both servers accept. Unset numbers are None, so that each
server applies its own defaults. Source of fields and defaults: TensorFlow Serving's `config/*.proto` and
`session_bundle_config.proto`; our descriptions of them are in `wire/protos/config.proto`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from google.protobuf import text_format
from google.protobuf.message import Message

from modelport.errors import InvalidArgument, from_os_error
from modelport.wire import messages

_M = TypeVar("_M", bound=Message)


@dataclass(frozen=True)
class Latest:
    """Serve the highest versions."""

    num_versions: int = 1


@dataclass(frozen=True)
class All:
    """Serve every version."""


@dataclass(frozen=True)
class Specific:
    """Serve these versions, as far as they exist."""

    versions: tuple[int, ...]


VersionPolicy = Latest | All | Specific


@dataclass(frozen=True)
class ModelConfig:
    """One model of the server. All but the name can change while serving; its platform cannot."""

    name: str
    base_path: str  # absolute, or a URI
    policy: VersionPolicy = field(default_factory=Latest)
    labels: Mapping[str, int] = field(default_factory=dict)
    platform: str = "tensorflow"  # the only one; the real server requires it in files
    model_type: int = messages.MODEL_TYPE_UNSPECIFIED  # deprecated forerunner of the platform
    has_logging: bool = False  # a logging_config is given; the stock server has no logger and refuses it


@dataclass(frozen=True)
class ServerConfig:
    """All models of a server; `models` is None when the text said nothing about models at all."""

    models: tuple[ModelConfig, ...] | None = None


@dataclass(frozen=True)
class BatchingParameters:
    """How requests are joined; None leaves the server's default (in parentheses)."""

    max_batch_size: int | None = None  # rows (1000)
    batch_timeout_micros: int | None = None  # how long an under-full batch may wait (0)
    max_enqueued_batches: int | None = None  # per queue (10)
    num_batch_threads: int | None = None  # shared by all models (number of cores)
    thread_pool_name: str | None = None
    allowed_batch_sizes: tuple[int, ...] = ()  # batches are padded up to the next of these
    pad_variable_length_inputs: bool = False
    enable_large_batch_splitting: bool | None = None
    max_execution_batch_size: int | None = None  # rows, with splitting only


@dataclass(frozen=True)
class MonitoringConfig:
    """Whether and where the Prometheus page is."""

    enable: bool = False
    path: str = ""  # empty: /monitoring/prometheus/metrics


@dataclass(frozen=True)
class SslConfig:
    """TLS for the ports; all three are PEM texts, not paths."""

    server_key: str = ""
    server_cert: str = ""
    custom_ca: str = ""
    client_verify: bool = False


def read(path: Path | str) -> str:
    """The text of a configuration file.

    Raises:
        NotFound, PermissionDenied: it is not there or cannot be read.
    """
    try:
        return Path(path).read_text("utf-8")
    except OSError as error:
        raise from_os_error(error, "read the configuration", path) from error
    except UnicodeDecodeError as error:
        raise InvalidArgument(f"Expected a text proto in {str(path)!r}; it is no UTF-8 text ({error}).") from error


def parse_models(text: str, source: str = "the text") -> ServerConfig:
    """Read a ModelServerConfig; `source` names the file in error messages.

    Raises:
        InvalidArgument: the text is no ModelServerConfig; line and column are named.
    """
    return models_from_message(_parse(text, messages.ModelServerConfig, source))


def models_from_message(message: messages.ModelServerConfig) -> ServerConfig:
    """The dataclass of the message that `HandleReloadConfigRequest` carries."""
    if message.WhichOneof("config") != "model_config_list":
        return ServerConfig()
    return ServerConfig(tuple(_model(config) for config in message.model_config_list.config))


def format_models(config: ServerConfig) -> str:
    """Write a ModelServerConfig that both servers read."""
    lines = ["model_config_list {"]
    for model in config.models or ():
        lines += ["  config {", f"    name: {_quote(model.name)}", f"    base_path: {_quote(model.base_path)}"]
        lines.append(f"    model_platform: {_quote(model.platform)}")
        if model.policy != Latest():
            lines.append(f"    model_version_policy {{ {format_policy(model.policy)} }}")
        lines += [f"    {line}" for line in format_labels(model.labels)]
        lines.append("  }")
    return "\n".join([*lines, "}", ""])


def parse_batching(text: str, source: str = "the text") -> BatchingParameters:
    """Read BatchingParameters. Raises InvalidArgument as `parse_models` does."""
    message = _parse(text, messages.BatchingParameters, source)
    wrapped = {
        name: getattr(message, name).value
        for name in (
            "max_batch_size",
            "batch_timeout_micros",
            "max_enqueued_batches",
            "num_batch_threads",
            "thread_pool_name",
            "enable_large_batch_splitting",
            "max_execution_batch_size",
        )
        if message.HasField(name)
    }
    return BatchingParameters(
        **wrapped,
        allowed_batch_sizes=tuple(message.allowed_batch_sizes),
        pad_variable_length_inputs=message.pad_variable_length_inputs,
    )


def format_batching(parameters: BatchingParameters) -> str:
    """Write BatchingParameters; what is None is left out."""
    numbers = ("max_batch_size", "batch_timeout_micros", "max_enqueued_batches", "num_batch_threads")
    lines = [f"{name} {{ value: {n} }}" for name in numbers if (n := getattr(parameters, name)) is not None]
    if parameters.thread_pool_name is not None:
        lines.append(f"thread_pool_name {{ value: {_quote(parameters.thread_pool_name)} }}")
    lines += [f"allowed_batch_sizes: {size}" for size in parameters.allowed_batch_sizes]
    if parameters.pad_variable_length_inputs:
        lines.append("pad_variable_length_inputs: true")
    if parameters.enable_large_batch_splitting is not None:
        lines.append(
            f"enable_large_batch_splitting {{ value: {str(parameters.enable_large_batch_splitting).lower()} }}"
        )
    if parameters.max_execution_batch_size is not None:
        lines.append(f"max_execution_batch_size {{ value: {parameters.max_execution_batch_size} }}")
    return "\n".join([*lines, ""])


def parse_monitoring(text: str, source: str = "the text") -> MonitoringConfig:
    """Read a MonitoringConfig. Raises InvalidArgument as `parse_models` does."""
    prometheus = _parse(text, messages.MonitoringConfig, source).prometheus_config
    return MonitoringConfig(prometheus.enable, prometheus.path)


def format_monitoring(config: MonitoringConfig) -> str:
    """Write a MonitoringConfig."""
    path = f" path: {_quote(config.path)}" if config.path else ""
    return f"prometheus_config {{ enable: {str(config.enable).lower()}{path} }}\n"


def parse_ssl(text: str, source: str = "the text") -> SslConfig:
    """Read an SSLConfig. Raises InvalidArgument as `parse_models` does."""
    message = _parse(text, messages.SSLConfig, source)
    return SslConfig(message.server_key, message.server_cert, message.custom_ca, message.client_verify)


def format_ssl(config: SslConfig) -> str:
    """Write an SSLConfig; the PEM texts become one-line strings."""
    lines = [f"{name}: {_quote(getattr(config, name))}" for name in ("server_key", "server_cert", "custom_ca")]
    return "\n".join([*lines, f"client_verify: {str(config.client_verify).lower()}", ""])


def _model(message: messages.ModelConfig) -> ModelConfig:
    policy = message.model_version_policy
    return ModelConfig(
        name=message.name,
        base_path=message.base_path,
        policy=_policy(policy),
        labels=dict(message.version_labels),
        platform=message.model_platform,
        model_type=message.model_type,
        has_logging=message.HasField("logging_config"),
    )


def _policy(message: messages.FileSystemStoragePathSourceConfig.ServableVersionPolicy) -> VersionPolicy:
    match message.WhichOneof("policy_choice"):
        case "all":
            return All()
        case "specific":
            return Specific(tuple(message.specific.versions))
        case _:
            return Latest(message.latest.num_versions or 1)  # 0 is what unset looks like; the server takes it for 1


def format_labels(labels: Mapping[str, int]) -> list[str]:
    """One `version_labels` field for each label, by name."""
    return [f"version_labels {{ key: {_quote(label)} value: {labels[label]} }}" for label in sorted(labels)]


def format_policy(policy: VersionPolicy) -> str:
    """What stands inside of `model_version_policy { }`."""
    match policy:
        case All():
            return "all {}"
        case Specific(versions):
            return "specific { " + " ".join(f"versions: {version}" for version in versions) + " }"
        case Latest(number):
            return f"latest {{ num_versions: {number} }}"


def _quote(text: str) -> str:
    """A text-format string; JSON's escapes for quotes, backslashes and line ends are among those of the text format."""
    return json.dumps(text, ensure_ascii=False)


def _parse(text: str, kind: type[_M], source: str) -> _M:
    try:
        return text_format.Parse(text, kind(), descriptor_pool=messages.POOL)
    except text_format.ParseError as error:
        raise InvalidArgument(
            f"Invalid protobuf file: {source}: expected a text proto of type {kind.DESCRIPTOR.full_name}; at "
            f"line:column {error}."
        ) from error
