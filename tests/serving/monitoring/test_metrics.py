"""The metrics page: names, labels and values as those of the real server, and ours beside them."""

import re

import numpy as np
import pytest

from modelport.errors import NotFound
from modelport_client import Client
from modelport_serving import AUTO, Options, Server
from tests.support.http_connection import ask

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
    )
    with Server(options) as server:
        yield server


def test_the_page(watched):
    with Client(watched.grpc_address) as client:
        client.predict("m", {"x": np.zeros(3, np.float32)})
        with pytest.raises(NotFound):
            client.predict("nobody", {"x": np.zeros(3, np.float32)})
    ask(watched.rest_address, "POST", "/v1/models/m:predict", b'{"instances": [1.0]}')
    ask(watched.rest_address, "GET", "/v1/models/m")
    answer = ask(watched.rest_address, "GET", PAGE)
    assert answer.headers["content-type"] == "text/plain"
    page = answer.body.decode()
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


def test_head_and_a_query(watched):
    page = ask(watched.rest_address, "GET", PAGE)
    head = ask(watched.rest_address, "HEAD", PAGE)
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", str(len(page.body)))
    assert ask(watched.rest_address, "GET", PAGE + "?x=1").status == 400
