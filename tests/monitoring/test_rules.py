"""Prometheus' configuration and rules as promtool reads them."""

import re
import subprocess

from tests.monitoring.files import CONFIG, RULE_TESTS, RULES, alert_names, rule_expressions


def run(*command: str) -> str:
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout + result.stderr


def test_prometheus_accepts_the_configuration(promtool):
    assert "1 rule files found" in run(promtool, "check", "config", str(CONFIG / "prometheus.yml"))


def test_prometheus_accepts_the_rules(promtool):
    said = run(promtool, "check", "rules", str(RULES))
    assert f"{len(rule_expressions())} rules found" in said


def test_each_alert_fires_when_it_should_and_not_when_it_should_not(promtool):
    assert "SUCCESS" in run(promtool, "test", "rules", str(RULE_TESTS))


def test_every_alert_has_both_kinds_of_tests():
    text = RULE_TESTS.read_text()
    firing = set(re.findall(r"alertname: (\w+)\n\s+exp_alerts:", text))
    silent = set(re.findall(r"alertname: (\w+) }", text)) | {"ServingRestarting"}  # its test names who is left out
    assert firing == silent == set(alert_names())
