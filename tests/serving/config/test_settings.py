"""Flags that contradict one another, and files that cannot be read, end the start with one line."""

import codecs

import pytest

from modelport.errors import FailedPrecondition, InvalidArgument, ModelportError, NotFound
from modelport_serving import AUTO, Options
from modelport_serving.config.settings import configuration, repository_models, settle

MODEL = {"model_base_path": "/m", "port": AUTO}
CONFIG = 'model_config_list { config { name: "m" base_path: "/m" model_platform: "tensorflow" } }'

REFUSED = [
    ({}, "model_base_path and server_options.model_config_file are empty"),
    ({"model_base_path": "/m", "port": 0}, "grpc_port or server_options.grpc_socket_path must be set"),
    ({**MODEL, "model_repository": "/r"}, "Expected a model repository, or --model_base_path"),
    ({"model_config_file": "/c", "model_repository": "/r"}, "Expected a model repository, or --model_base_path"),
    ({"model_base_path": "/m", "port": 9, "rest_api_port": 9}, "different ports for gRPC and REST. Received: 9"),
    ({**MODEL, "batching_parameters_file": "/b"}, "batching_parameters_file is set without setting"),
    ({**MODEL, "max_tensor_rank": 999}, "Expected --max_tensor_rank between 0 and"),
    *(
        ({**MODEL, name: 0}, f"Expected --{name} above 0. Received: 0")
        for name in (
            "rest_api_header_timeout_in_ms",
            "rest_api_body_timeout_in_ms",
            "rest_api_idle_timeout_in_ms",
            "rest_api_send_timeout_in_ms",
            "rest_api_max_body_bytes",
            "rest_api_max_inflate_ratio",
            "rest_api_max_json_depth",
            "max_waiting_requests",
            "grace_seconds",
        )
    ),
    ({**MODEL, "grace_seconds": float("nan")}, "Expected --grace_seconds above 0"),
    ({**MODEL, "rest_api_max_connections": -1}, "Expected --rest_api_max_connections of 0 or more. Received: -1"),
    ({**MODEL, "run_threads": -1}, "Expected --run_threads of 0 or more"),
]


@pytest.mark.parametrize(("fields", "text"), REFUSED)
def test_what_cannot_be(fields, text):
    with pytest.raises(InvalidArgument) as refused:
        settle(Options(**fields))
    assert text in refused.value.message


def test_both_ports_may_be_any():
    assert settle(Options(model_base_path="/m", port=AUTO, rest_api_port=AUTO)).models.models[0].base_path == "/m"


@pytest.mark.parametrize("encode", [str.encode, lambda text: codecs.BOM_UTF8 + text.encode()], ids=["plain", "mark"])
def test_a_configuration_is_read_with_and_without_a_byte_order_mark(tmp_path, encode):
    """An editor on Windows had put one before the first word, and the server did not start."""
    path = tmp_path / "models.config"
    path.write_bytes(encode(CONFIG))
    (model,) = configuration(Options(model_config_file=str(path), port=AUTO)).models
    assert (model.name, model.base_path) == ("m", "/m")


@pytest.mark.parametrize(
    ("content", "error"), [(None, NotFound), (b"", InvalidArgument), (b"\xff\xfe", ModelportError)]
)
def test_a_configuration_that_cannot_be_read(tmp_path, content, error):
    path = tmp_path / "models.config"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(error, match=r"models\.config"):
        settle(Options(model_config_file=str(path), port=AUTO))


def test_the_metrics_page_needs_a_rest_port_and_has_a_path(tmp_path):
    path = tmp_path / "monitoring.config"

    def page(text: str, rest_api_port: int = AUTO) -> str:
        path.write_text(text)
        return settle(Options(**MODEL, rest_api_port=rest_api_port, monitoring_config_file=str(path))).metrics_path

    assert page("prometheus_config { enable: true }") == "/monitoring/prometheus/metrics"
    assert page('prometheus_config { enable: true path: "/metrics" }') == "/metrics"
    assert page("prometheus_config { enable: false }") == ""
    assert page("prometheus_config { enable: true }", rest_api_port=0) == ""


def test_the_models_of_a_repository(tmp_path, monkeypatch):
    for folder in ("b/1", "a/1", "a/2", "empty", ".hidden/1"):
        (tmp_path / "models" / folder).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    found = repository_models("models").models
    assert [(model.name, model.base_path) for model in found] == [
        ("a", f"{tmp_path}/models/a"),
        ("b", f"{tmp_path}/models/b"),
    ]
    with pytest.raises(NotFound, match="Expected a model repository"):
        repository_models("nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(FailedPrecondition, match="file"):
        repository_models("file")
