"""Which models are served, in which versions and under which labels: the file of `--model_config_file`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from modelport.errors import InvalidArgument
from modelport.serverconfig.text import format_message, parse
from modelport.wire import messages

_Policy = messages.FileSystemStoragePathSourceConfig.ServableVersionPolicy


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


def parse_models(text: str, source: str = "the text") -> ServerConfig:
    """Read a ModelServerConfig; `source` names the file in error messages.

    Raises:
        InvalidArgument: the text is no ModelServerConfig; line and column are named.
    """
    return models_from_message(parse(text, messages.ModelServerConfig, source))


def models_from_message(message: messages.ModelServerConfig) -> ServerConfig:
    """The dataclass of the message that `HandleReloadConfigRequest` carries."""
    if message.WhichOneof("config") != "model_config_list":
        return ServerConfig()
    return ServerConfig(tuple(_model(config) for config in message.model_config_list.config))


def models_to_message(config: ServerConfig) -> messages.ModelServerConfig:
    """The message of the dataclass; a config without models is one that serves none.

    Raises:
        InvalidArgument: a number of a version is not within int64.
    """
    message = messages.ModelServerConfig()
    message.model_config_list.SetInParent()
    for model in config.models or ():
        written = message.model_config_list.config.add(
            name=model.name, base_path=model.base_path, model_platform=model.platform, model_type=model.model_type
        )
        if model.policy != Latest():
            written.model_version_policy.CopyFrom(_policy_message(model.policy))
        written.MergeFrom(_labels_message(model.labels))
        if model.has_logging:
            written.logging_config.SetInParent()
    return message


def format_models(config: ServerConfig) -> str:
    """Write a ModelServerConfig that both servers read. Raises InvalidArgument as `models_to_message` does."""
    return format_message(models_to_message(config))


def format_labels(labels: Mapping[str, int]) -> list[str]:
    """One `version_labels` field for each label, by name."""
    return [format_message(_labels_message({label: labels[label]}), one_line=True) for label in sorted(labels)]


def format_policy(policy: VersionPolicy) -> str:
    """What stands inside of `model_version_policy { }`, on one line."""
    return format_message(_policy_message(policy), one_line=True)


def _model(message: messages.ModelConfig) -> ModelConfig:
    return ModelConfig(
        name=message.name,
        base_path=message.base_path,
        policy=_policy(message.model_version_policy),
        labels=dict(message.version_labels),
        platform=message.model_platform,
        model_type=message.model_type,
        has_logging=message.HasField("logging_config"),
    )


def _policy(message: _Policy) -> VersionPolicy:
    match message.WhichOneof("policy_choice"):
        case "all":
            return All()
        case "specific":
            return Specific(tuple(message.specific.versions))
        case _:
            return Latest(message.latest.num_versions or 1)  # 0 is what unset looks like; the server takes it for 1


def _policy_message(policy: VersionPolicy) -> _Policy:
    message = _Policy()
    try:
        match policy:
            case All():
                message.all.SetInParent()
            case Specific(versions):
                message.specific.SetInParent()
                message.specific.versions.extend(versions)
            case Latest(number):
                message.latest.num_versions = number
    except ValueError as error:
        raise InvalidArgument(f"Expected numbers of versions within int64. Received: {policy} ({error})") from error
    return message


def _labels_message(labels: Mapping[str, int]) -> messages.ModelConfig:
    try:
        return messages.ModelConfig(version_labels=labels)
    except ValueError as error:
        raise InvalidArgument(f"Expected numbers of versions within int64. Received: {dict(labels)}") from error
