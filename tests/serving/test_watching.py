"""The metrics page and the access log."""

import http.client
import json
import re

import grpc
import numpy as np
import pytest

from modelport.errors import NotFound
from modelport.wire import messages
from modelport_client import Client
from modelport_serving import AUTO, Options, Server
from modelport_serving.monitoring.prometheus_text import Counter, Histogram

PAGE = "/monitoring/prometheus/metrics"
LINE = re.compile(r'^:?[a-zA-Z_][\w:]*(\{(\w+="([^"\\]|\\.)*",?)*\})? -?[0-9.e+-]+$')


@pytest.fixture
def watched(tmp_path, add_version):
    add_version(tmp_path / "m", 1, "affine-2")
    (tmp_path / "monitoring.config").write_text("prometheus_config { enable: true }")
    options = Options(
        model_name="m",
        model_base_path=str(tmp_path / "m"),
        port=AUTO,
        rest_api_port=AUTO,
        monitoring_config_file=str(tmp_path / "monitoring.config"),
        access_log=str(tmp_path / "access.log"),
    )
    with Server(options) as server:
        yield server


def request(server, method, path, body=None, headers=None):
    connection = http.client.HTTPConnection(server.rest_address.removeprefix("http://"), timeout=10)
    connection.request(method, path, body, headers or {})
    answer = connection.getresponse()
    result = answer.status, answer.read().decode(), answer
    connection.close()
    return result


def test_the_page(watched):
    with Client(watched.grpc_address) as client:
        client.predict("m", {"x": np.zeros(3, np.float32)})
        with pytest.raises(NotFound):
            client.predict("nobody", {"x": np.zeros(3, np.float32)})
    request(watched, "POST", "/v1/models/m:predict", b'{"instances": [1.0]}')
    request(watched, "GET", "/v1/models/m")
    _, page, answer = request(watched, "GET", PAGE)
    assert answer.getheader("Content-Type") == "text/plain"
    lines = page.splitlines()
    assert all(LINE.match(line) or re.match(r"^# TYPE :\S+ (counter|gauge|histogram)$", line) for line in lines)
    for expected in (
        ':tensorflow:serving:request_count{model_name="m",status="OK"} 3',
        ':tensorflow:serving:request_count{model_name="nobody",status="NOT_FOUND"} 1',
        ':tensorflow:serving:request_latency_count{model_name="m",API="Predict",entrypoint="GRPC"} 1',
        ':tensorflow:serving:request_latency_count{model_name="m",API="predict",entrypoint="REST"} 1',
        ':tensorflow:serving:request_latency_bucket{model_name="m",API="",entrypoint="REST",le="+Inf"} 1',
        ':tensorflow:serving:runtime_latency_count{model_name="m",API="Predict",runtime="TF1"} 2',
        ":tensorflow:core:graph_runs{} 2",
        ':modelport:serving:request_count{model_name="m",version="1",API="Predict",entrypoint="GRPC",status="OK"} 1',
        ':modelport:serving:version_state{model_name="m",version="1",state="AVAILABLE"} 1',
        "# TYPE :tensorflow:serving:request_log_count counter",
    ):
        assert expected in lines, page
    assert re.search(r':tensorflow:cc:saved_model:load_attempt_count\{model_path="\S+/m/1",status="success"\} 1', page)


def test_the_access_log(watched, tmp_path):
    sent = {"X-Request-Id": "abc-1"}
    _, _, answer = request(watched, "POST", "/v1/models/m:predict", b'{"instances": [1.0]}', sent)
    assert answer.getheader("X-Request-Id") == "abc-1"
    request(watched, "GET", "/v1/models/zz")
    with grpc.insecure_channel(watched.grpc_address) as channel:
        ask = messages.GetModelStatusRequest(model_spec=messages.ModelSpec(name="m")).SerializeToString()
        call = channel.unary_unary("/tensorflow.serving.ModelService/GetModelStatus")
        _, state = call.with_call(ask, timeout=10, metadata=[("x-request-id", "abc-2")])
        assert dict(state.trailing_metadata())["x-request-id"] == "abc-2"
    lines = [json.loads(line) for line in (tmp_path / "access.log").read_text().splitlines()]
    assert [line["code"] for line in lines] == ["OK", "NOT_FOUND", "OK"]
    assert [line["via"] for line in lines] == ["REST", "REST", "GRPC"]
    assert (lines[0]["id"], lines[2]["id"]) == ("abc-1", "abc-2")
    assert (lines[0]["model"], lines[0]["version"], lines[0]["bytes_in"]) == ("m", 1, 20)
    assert lines[1]["error"] == "Could not find any versions of model zz"
    assert len(lines[1]["id"]) == 32


def test_counters_and_histograms():
    counter = Counter("c", ("name",))
    counter.add('a"\\\n')
    counter.add('a"\\\n', by=2)
    assert counter.text() == '# TYPE c counter\nc{name="a\\"\\\\\\n"} 3\n'
    histogram = Histogram("h", (), [1, 2.5])
    for value in (1, 2, 99):
        histogram.observe(value)
    assert histogram.text().splitlines()[1:] == [
        'h_bucket{le="1"} 1',
        'h_bucket{le="2.5"} 2',
        'h_bucket{le="+Inf"} 3',
        "h_sum{} 102",
        "h_count{} 3",
    ]


def test_clients_cannot_make_metrics_grow_without_end():
    counter = Counter("c", ("name",))
    for number in range(5000):
        counter.add(str(number))
    assert len(counter.text().splitlines()) < 1100
    assert 'c{name="other"} 4000' in counter.text()
