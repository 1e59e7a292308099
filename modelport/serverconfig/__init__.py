"""The text protos that `tensorflow_model_server` reads ⇄ dataclasses: one configuration for both servers.

`parse_*` read what a person wrote, `format_*` write what both servers accept, both by protobuf's own text format. Unset
numbers are None, so that each server applies its own defaults. Source of fields and defaults: TensorFlow Serving's
`config/*.proto` and `session_bundle_config.proto`; our descriptions of them are in `wire/protos/config.proto`.

`models` has the models and their policies, `batching`, `monitoring` and `ssl_config` the other files, `editor` changes
one model in a file and keeps its comments.
"""

from modelport.serverconfig.batching import BatchingParameters, format_batching, parse_batching
from modelport.serverconfig.editor import add_model, change_file, change_model, model_of, replace_text
from modelport.serverconfig.models import (
    All,
    Latest,
    ModelConfig,
    ServerConfig,
    Specific,
    VersionPolicy,
    format_labels,
    format_models,
    format_policy,
    models_from_message,
    models_to_message,
    parse_models,
)
from modelport.serverconfig.monitoring import MonitoringConfig, format_monitoring, parse_monitoring
from modelport.serverconfig.ssl_config import SslConfig, format_ssl, parse_ssl
from modelport.serverconfig.text import read

__all__ = [
    "All",
    "BatchingParameters",
    "Latest",
    "ModelConfig",
    "MonitoringConfig",
    "ServerConfig",
    "Specific",
    "SslConfig",
    "VersionPolicy",
    "add_model",
    "change_file",
    "change_model",
    "format_batching",
    "format_labels",
    "format_models",
    "format_monitoring",
    "format_policy",
    "format_ssl",
    "model_of",
    "models_from_message",
    "models_to_message",
    "parse_batching",
    "parse_models",
    "parse_monitoring",
    "parse_ssl",
    "read",
    "replace_text",
]
