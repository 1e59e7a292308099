"""The monitoring profile beside the stack: Prometheus finds the server by its name and tells when it is gone.

Grafana is left out: no Debian package has it to make a stand-in of. tests/monitoring holds its files against the
metrics, the rules and each other.
"""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.monitoring.files import CONFIG, MONITORING, ROOT, RULES, alert_names
from tests.monitoring.test_prometheus import Prometheus, until
from tests.support.docker.stack import Stack
from tests.support.ports import free_port

pytestmark = pytest.mark.timeout(500)
IMAGE = re.search(r"PROMETHEUS_IMAGE:-(\S+)}", (ROOT / "docker-compose.yml").read_text())[1]
PROFILE = ("--profile", "monitoring")
UP = (*PROFILE, "up", "--detach", "--wait", "--no-build", "--pull=never", "--no-deps", "prometheus")


@pytest.fixture(scope="module")
def prometheus_image(stack: Stack) -> Iterator[str]:
    """What runs under the name of the compose file: the real image where the engine has it, else the stand-in."""
    if stack.docker("image", "inspect", IMAGE, check=False).returncode == 0:
        yield IMAGE
        return
    script = ROOT / "deploy/standin/prometheus.sh"
    stack.run(str(script), IMAGE)
    yield f"a stand-in for {IMAGE} (Debian's Prometheus)"
    stack.docker("rmi", IMAGE)


@pytest.fixture
def start(stack: Stack, prometheus_image, request, monkeypatch) -> Iterator[Callable[..., Prometheus]]:
    """Start the profile's Prometheus, with further compose files."""
    request.node.user_properties.append(("server", f"{stack.on}, watched by {prometheus_image}"))
    port = free_port()
    monkeypatch.setitem(stack.environment, "PROMETHEUS_PORT", str(port))

    def start(*files: str | Path) -> Prometheus:
        files = (stack.environment["COMPOSE_FILE"], *map(str, files))
        monkeypatch.setitem(stack.environment, "COMPOSE_FILE", ":".join(files))
        stack.compose(*UP)  # waits for its own health check
        return Prometheus(f"127.0.0.1:{port}")

    yield start
    stack.compose(*PROFILE, "rm", "--stop", "--force", "prometheus")
    stack.docker("volume", "rm", f"{stack.project}_prometheus")


@pytest.fixture
def in_haste(tmp_path) -> Path:
    """The same configuration with steps of two seconds and a hasty `ServingDown`, as a compose file that mounts it."""
    shutil.copytree(CONFIG, tmp_path / "config")
    shutil.copytree(MONITORING, tmp_path / "monitoring")
    steps, changed = re.subn(
        r"(scrape|evaluation)_interval: \d+s", r"\1_interval: 2s", (CONFIG / "prometheus.yml").read_text()
    )
    assert changed == 2
    (tmp_path / "config/prometheus.yml").write_text(steps)
    rules, changed = re.subn(r"(alert: ServingDown\n.*\n\s+for:) 1m", r"\1 1s", RULES.read_text())
    assert changed == 1
    (tmp_path / "monitoring/alerts.yml").write_text(rules)
    mounts = [f"{tmp_path / name}:/etc/modelport/{name}:ro" for name in ("config", "monitoring")]
    override = tmp_path / "in-haste.json"
    override.write_text(json.dumps({"services": {"prometheus": {"volumes": mounts}}}))
    return override


def test_it_finds_the_server_and_the_rules_by_the_files_as_they_are(stack, start):
    prometheus = start()
    until(lambda: prometheus.values('up{job="serving"}') == ["1"], "the scrape succeeds")
    (target,) = prometheus.get("targets")["activeTargets"]
    assert target["scrapeUrl"] == "http://serving:8501/monitoring/prometheus/metrics"
    (group,) = prometheus.get("rules")["groups"]
    assert [rule["name"] for rule in group["rules"] if rule["type"] == "alerting"] == alert_names()
    facts = stack.inspect(stack.containers("prometheus")[0])
    assert facts["Config"]["User"] == "65534:65534"
    assert facts["HostConfig"]["ReadonlyRootfs"]
    (bindings,) = facts["HostConfig"]["PortBindings"].values()
    assert [binding["HostIp"] for binding in bindings] == ["127.0.0.1"]


def test_an_alert_fires_when_the_server_is_stopped_and_ends_when_it_is_back(stack, start, in_haste):
    prometheus = start(in_haste)
    until(lambda: prometheus.values('up{job="serving"}') == ["1"], "the scrape succeeds")
    until(lambda: not prometheus.firing(), "nothing is amiss")
    try:
        stack.compose("stop", "serving")
        until(lambda: "ServingDown" in prometheus.firing(), "ServingDown fires")
    finally:
        stack.compose("start", "serving")
        stack.wait_for_health("healthy")
    until(lambda: "ServingDown" not in prometheus.firing(), "ServingDown is over")
    assert prometheus.values('up{job="serving"}') == ["1"]
