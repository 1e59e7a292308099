"""docs/scaling.md: its files exist, its arithmetic is right, its clients balance."""

import json
import re
from pathlib import Path

import grpc
import numpy as np
import pytest

from modelport import tensors
from modelport.wire import messages
from modelport.wire.services import stub
from modelport_serving import AUTO, Options, Server

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/scaling.md").read_text()
ARITHMETIC, CLIENT = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
(SERVICE_CONFIG,) = re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)
KUBERNETES = ROOT / "deploy/kubernetes"


def number(text: str) -> int:
    return int(text.replace(",", ""))


def test_the_files_that_it_names_exist():
    named = set(re.findall(r"\b(?:deploy|serving|tests|docs)/[\w./-]+\w", TEXT))
    assert len(named) > 8
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_its_arithmetic_is_right():
    scope: dict = {}
    exec(ARITHMETIC, scope)  # noqa: S102 the document's own block
    measured = [number(told) for told in re.findall(r"^\| (?:gRPC|REST), .+? \| ([\d,]+)", TEXT, re.MULTILINE)]
    assert measured == [3600, 5700, 1000]
    rows = re.findall(r"^\| ([\d,]+) \| (\d+) \| (\d+) \| (\d+) \|$", TEXT, re.MULTILINE)
    assert len(rows) == 4
    for peak, *told in rows:
        assert [number(n) for n in told] == [scope["replicas"](number(peak), one) for one in measured], peak
    p99 = [f"{scope['slowest_hundredth_ms'](3600, busy):.1f}" for busy in (0.6, 0.9)]
    assert f"{p99[0]} ms at 60 %, {p99[1]} ms at 90 %" in " ".join(TEXT.split())
    scaler = (KUBERNETES / "base/horizontalpodautoscaler.yaml").read_text()
    assert "averageUtilization: 60 " in scaler
    (patch,) = json.loads((KUBERNETES / "components/monitoring/horizontalpodautoscaler.json").read_text())
    assert patch["value"]["pods"]["target"]["averageValue"] == str(int(0.6 * 3600))


def test_its_clients_take_turns_and_survive_a_stop(add_version, tmp_path):
    add_version(tmp_path / "digits", 1, "affine-2")
    logs = [tmp_path / "first.log", tmp_path / "second.log"]

    def server(log: Path) -> Server:
        ports = {"port": AUTO, "rest_api_port": AUTO}
        return Server(Options("digits", str(tmp_path / "digits"), access_log=str(log), **ports))

    def asked(log: Path) -> int:
        return len(log.read_text().splitlines())

    with server(logs[0]) as first, server(logs[1]) as second:
        addresses = json.dumps("ipv4:" + ",".join(one.grpc_address for one in (first, second)))
        scope: dict = {}
        exec(re.sub(r'"dns:///[^"]+"', addresses, CLIENT), scope)  # noqa: S102 the document's own block
        options = [("grpc.service_config", SERVICE_CONFIG)]
        with scope["client"] as ours, grpc.insecure_channel(json.loads(addresses), options=options) as channel:
            predict = stub(channel, "Predict")
            request = messages.PredictRequest(
                model_spec=messages.ModelSpec(name="digits"), inputs={"x": tensors.encode(np.zeros(1, np.float32))}
            )
            for _ in range(20):
                predict(request, timeout=10, wait_for_ready=True)
                ours.predict("digits", {"x": np.zeros(1, np.float32)})
            assert [asked(log) for log in logs] == pytest.approx([20, 20], abs=10)  # one may connect a moment later
            first.stop()
            for _ in range(20):
                predict(request, timeout=10)
                ours.predict("digits", {"x": np.zeros(1, np.float32)})
        assert asked(logs[1]) >= 50
