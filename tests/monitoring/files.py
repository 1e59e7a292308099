"""What stands in serving/monitoring: rules, dashboard, and the metrics that their expressions name."""

import json
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
MONITORING = ROOT / "serving" / "monitoring"
CONFIG = ROOT / "serving" / "config"
RULES = MONITORING / "alerts.yml"
RULE_TESTS = MONITORING / "alerts_test.yml"
GRAFANA = MONITORING / "grafana"

# What PromQL writes like a metric's name.
_WORDS = {"and", "or", "unless", "by", "without", "on", "ignoring", "group_left", "group_right", "offset", "bool"}
_NOT_NAMES = re.compile(
    r'"[^"]*"|\{[^}]*\}|\[[^\]]*\]|(?:\b(?:by|without|on|ignoring|group_left|group_right)\s*)\([^)]*\)'
)
_NAME = re.compile(r"(?<![\w:])[a-zA-Z_:][\w:]*(?![\w:])(?!\s*\()")


def metric_names(expression: str) -> set[str]:
    """The metrics that a PromQL expression reads; `_bucket`, `_sum` and `_count` are part of the name."""
    return set(_NAME.findall(_NOT_NAMES.sub(" ", expression))) - _WORDS


def alert_names() -> list[str]:
    """The alerts, in the order of the file."""
    return re.findall(r"^\s+- alert: (\w+)$", RULES.read_text(), re.MULTILINE)


def recorded_names() -> set[str]:
    """The series that the rules make themselves."""
    return set(re.findall(r"^\s+- record: (\S+)$", RULES.read_text(), re.MULTILINE))


def rule_expressions() -> list[str]:
    """The expressions of all rules: on the line of `expr:`, or indented below it."""
    found = re.findall(r"^ {8}expr: (?:\|\n((?:^ {10}.*\n)+)|(.+)\n)", RULES.read_text(), re.MULTILINE)
    return [block or line for block, line in found]


def dashboard() -> dict:
    """The dashboard as Grafana reads it."""
    return json.loads((GRAFANA / "dashboards" / "serving.json").read_text())


def panel_queries(interval: str = "1m") -> list[tuple[str, str]]:
    """Title and expression of each query, with Grafana's variables filled in."""
    return [
        (panel["title"], target["expr"].replace("$__rate_interval", interval).replace("$model", ".*"))
        for panel in dashboard()["panels"]
        for target in panel.get("targets", [])
    ]
