"""Whether and where the Prometheus page is: the file of `--monitoring_config_file`."""

from __future__ import annotations

from dataclasses import dataclass

from modelport.serverconfig.text import format_message, parse
from modelport.wire import messages


@dataclass(frozen=True)
class MonitoringConfig:
    """Whether and where the Prometheus page is."""

    enable: bool = False
    path: str = ""  # empty: /monitoring/prometheus/metrics


def parse_monitoring(text: str, source: str = "the text") -> MonitoringConfig:
    """Read a MonitoringConfig. Raises InvalidArgument as `parse_models` does."""
    prometheus = parse(text, messages.MonitoringConfig, source).prometheus_config
    return MonitoringConfig(prometheus.enable, prometheus.path)


def format_monitoring(config: MonitoringConfig) -> str:
    """Write a MonitoringConfig."""
    prometheus = messages.PrometheusConfig(enable=config.enable, path=config.path)
    return format_message(messages.MonitoringConfig(prometheus_config=prometheus))
