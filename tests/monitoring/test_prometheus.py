"""A real Prometheus watches a real server: it scrapes, every panel has data, alerts fire."""

import json
import re
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from modelport_export import warmup
from modelport_export.signatures import Signature, Spec
from tests.monitoring.files import CONFIG, RULES, panel_queries

TIMEOUT_S = 30


class Prometheus:
    """A running Prometheus, by its HTTP API."""

    def __init__(self, address: str) -> None:
        self.address = address

    def get(self, path: str, **parameters: str) -> dict:
        url = f"http://{self.address}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=5) as answer:
            return json.load(answer)["data"]

    def values(self, query: str) -> list[str]:
        return [series["value"][1] for series in self.get("query", query=query)["result"]]

    def firing(self) -> set[str]:
        return {alert["labels"]["alertname"] for alert in self.get("alerts")["alerts"] if alert["state"] == "firing"}


def until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not holds():
        assert time.monotonic() < deadline, f"not within {TIMEOUT_S} s: {what}"
        time.sleep(0.1)


@pytest.fixture
def watching(prometheus, watched, tmp_path) -> Iterator[Prometheus]:
    """Our configuration with the server's address, steps of a quarter of a second, and a hasty `ServingDown`."""
    rules = re.sub(r"(alert: ServingDown\n.*\n\s+for:) 1m", r"\1 1s", RULES.read_text())
    assert "for: 1s" in rules
    (tmp_path / "monitoring").mkdir()
    (tmp_path / "monitoring" / "alerts.yml").write_text(rules)
    config = (CONFIG / "prometheus.yml").read_text()
    config = config.replace("serving:8501", watched.rest_address.removeprefix("http://"))
    config = re.sub(r"(scrape|evaluation)_interval: \d+s", r"\1_interval: 250ms", config)
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "prometheus.yml").write_text(config)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    command = [
        prometheus,
        f"--config.file={tmp_path}/config/prometheus.yml",
        f"--storage.tsdb.path={tmp_path}/data",
        f"--web.listen-address={address}",
    ]
    log = tmp_path / "prometheus.log"
    with log.open("w") as output, subprocess.Popen(command, stdout=output, stderr=output, cwd=tmp_path) as process:
        try:
            until(lambda: process.poll() is not None or _is_ready(address), "Prometheus is ready")
            assert process.poll() is None, log.read_text()
            yield Prometheus(address)
        finally:
            process.terminate()


def _is_ready(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://{address}/-/ready", timeout=5) as answer:
            return answer.status == 200
    except (urllib.error.URLError, ConnectionError):
        return False


def test_it_scrapes_and_every_panel_has_data(watching, ask):
    until(lambda: watching.values('up{job="serving"}') == ["1"], "the scrape succeeds")
    queries = [(title, query) for title, query in panel_queries("3s") if title != "Alerts"]  # nothing is amiss

    def without_data() -> list[str]:
        ask()
        return [title for title, query in queries if set(watching.values(query)) <= {"NaN"}]

    until(lambda: not without_data(), "every panel has data")
    assert watching.firing() == set()


def test_alerts_fire(watching, watched, base, add_version):
    until(lambda: watching.values('up{job="serving"}') == ["1"], "the scrape succeeds")
    assert watching.firing() == set()

    _add_version_without_graph(base, 2)
    until(lambda: "LoadFailed" in watching.firing(), "LoadFailed fires")

    folder = add_version(base, "aside", "affine-3")
    signatures = {"nothing": Signature({"x": Spec("float32", (-1,))}, {})}
    warmup.write(folder, "m", {"nothing": {"x": np.zeros(1, np.float32)}}, signatures)
    folder.rename(base / "3")
    until(lambda: "WarmUpFailed" in watching.firing(), "WarmUpFailed fires")
    assert watching.firing() == {"LoadFailed", "WarmUpFailed"}  # version 1 goes on answering

    watched.stop()
    until(lambda: "ServingDown" in watching.firing(), "ServingDown fires")


def _add_version_without_graph(base: Path, version: int) -> None:
    folder = base / "aside"
    folder.mkdir()
    (folder / "saved_model.pb").write_bytes(b"cut short")
    folder.rename(base / str(version))


def test_the_rules_need_no_other_file(promtool, tmp_path):
    """As mounted in the container: the folders `config` and `monitoring` beside each other."""
    shutil.copytree(CONFIG, tmp_path / "config")
    shutil.copytree(RULES.parent, tmp_path / "monitoring")
    command = [promtool, "check", "config", str(tmp_path / "config" / "prometheus.yml")]
    assert subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0
