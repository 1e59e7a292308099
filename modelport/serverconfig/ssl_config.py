"""TLS for the ports: the file of `--ssl_config_file`."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from modelport.serverconfig.text import format_message, parse
from modelport.wire import messages


@dataclass(frozen=True)
class SslConfig:
    """TLS for the ports; the first three are PEM texts, not paths."""

    server_key: str = ""
    server_cert: str = ""
    custom_ca: str = ""
    client_verify: bool = False


def parse_ssl(text: str, source: str = "the text") -> SslConfig:
    """Read an SSLConfig. Raises InvalidArgument as `parse_models` does."""
    message = parse(text, messages.SSLConfig, source)
    return SslConfig(message.server_key, message.server_cert, message.custom_ca, message.client_verify)


def format_ssl(config: SslConfig) -> str:
    """Write an SSLConfig; the PEM texts become one-line strings."""
    return format_message(messages.SSLConfig(**dataclasses.asdict(config)))
