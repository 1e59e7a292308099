"""Text protos ⇄ dataclasses; what we write is read back by the official messages too."""

import pytest
from google.protobuf import text_format
from hypothesis import given
from hypothesis import strategies as st
from tensorflow_serving.config import model_server_config_pb2

from modelport import serverconfig as config
from modelport.errors import FailedPrecondition, InvalidArgument, NotFound

_POLICIES = st.one_of(
    st.integers(1, 100).map(config.Latest),
    st.just(config.All()),
    st.lists(st.integers(0, 2**63 - 1), max_size=4).map(lambda versions: config.Specific(tuple(versions))),
)
_MODELS = st.builds(
    config.ModelConfig,
    name=st.text(min_size=1, max_size=20),
    base_path=st.text(max_size=20),
    policy=_POLICIES,
    labels=st.dictionaries(st.text(max_size=8), st.integers(0, 2**63 - 1), max_size=3),
)


@given(st.lists(_MODELS, max_size=3))
def test_models_round_trip(models):
    written = config.ServerConfig(tuple(models))
    text = config.format_models(written)
    assert config.parse_models(text) == written
    official = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    assert [model.name for model in official.model_config_list.config] == [model.name for model in models]
    assert [dict(model.version_labels) for model in official.model_config_list.config] == [m.labels for m in models]


def test_what_people_write():
    text = """
    # a comment, optional colons and commas
    model_config_list: {
      config: { name: 'a', base_path: '/a' model_platform: "tensorflow"
                model_version_policy: { specific: { versions: 7, versions: 8 } }
                version_labels { key: "stable" value: 7 } version_labels { key: "canary" value: 8 } },
      config { name: "b" base_path: "/b" model_platform: "tensorflow" model_version_policy { latest {} } }
      config { name: "c" base_path: "/c" model_type: TENSORFLOW logging_config { } model_version_policy { all { } } }
    }
    """
    first, second, third = config.parse_models(text).models
    assert first == config.ModelConfig("a", "/a", config.Specific((7, 8)), {"stable": 7, "canary": 8})
    assert second.policy == config.Latest(1)
    assert (third.policy, third.platform, third.has_logging) == (config.All(), "", True)


@pytest.mark.parametrize(("text", "models"), [("", None), ("# nothing", None), ("model_config_list {}", ())])
def test_no_models(text, models):
    assert config.parse_models(text).models == models


@pytest.mark.parametrize("text", ["model_config_list {", "nonsense", "model_config_list { config { nam: 'a' } }"])
def test_bad_text_names_the_place(text):
    with pytest.raises(
        InvalidArgument,
        match=r"Invalid protobuf file: '/x/models.config': expected .*ModelServerConfig; at line:column 1:",
    ):
        config.parse_models(text, "'/x/models.config'")


@given(
    st.builds(
        config.BatchingParameters,
        max_batch_size=st.none() | st.integers(-1, 2**40),
        batch_timeout_micros=st.none() | st.integers(-1, 10**6),
        max_enqueued_batches=st.none() | st.integers(0, 1000),
        num_batch_threads=st.none() | st.integers(0, 64),
        thread_pool_name=st.none() | st.text(max_size=9),
        allowed_batch_sizes=st.lists(st.integers(1, 99), max_size=4).map(tuple),
        pad_variable_length_inputs=st.booleans(),
        enable_large_batch_splitting=st.none() | st.booleans(),
        max_execution_batch_size=st.none() | st.integers(0, 1000),
    )
)
def test_batching_round_trip(parameters):
    assert config.parse_batching(config.format_batching(parameters)) == parameters


@given(st.builds(config.MonitoringConfig, enable=st.booleans(), path=st.text(max_size=9)))
def test_monitoring_round_trip(monitoring):
    assert config.parse_monitoring(config.format_monitoring(monitoring)) == monitoring


def test_ssl_round_trip():
    pem = "-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----\n"
    ssl = config.SslConfig(pem, pem, "", True)
    assert "\n-----END" not in config.format_ssl(ssl)
    assert config.parse_ssl(config.format_ssl(ssl)) == ssl


def test_files(tmp_path):
    with pytest.raises(NotFound, match="No such file or directory"):
        config.read(tmp_path / "none.config")
    binary = tmp_path / "binary.config"
    binary.write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidArgument, match="no UTF-8"):
        config.read(binary)


@pytest.mark.parametrize(
    "text", ["\ufeff# marked\nmodel_config_list {}\n", "# Windows\r\nmodel_config_list {\r\n}\r\n"]
)
def test_what_editors_on_windows_write(tmp_path, text):
    """A byte-order mark was an error at 1:1, where nobody sees anything."""
    path = tmp_path / "models.config"
    path.write_bytes(text.encode())
    assert config.parse_models(config.read(path)).models == ()


def test_a_file_that_would_never_end(tmp_path, trap):
    make, said = trap
    make(tmp_path / "models.config")
    with pytest.raises(FailedPrecondition, match=said):
        config.read(tmp_path / "models.config")


def test_numbers_that_no_server_takes():
    for model in (
        config.ModelConfig("m", "/m", config.Specific((2**63,))),
        config.ModelConfig("m", "/m", labels={"stable": 2**63}),
    ):
        with pytest.raises(InvalidArgument, match=r"within int64\. Received: .*9223372036854775808"):
            config.format_models(config.ServerConfig((model,)))
