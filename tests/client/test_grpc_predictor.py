"""A gRPC client that is held over a swap casts to the dtypes of the version that is there now."""

import json

import numpy as np
import pytest

from modelport.errors import InvalidArgument
from modelport_client import Client
from modelport_serving import AUTO, Options, Server


@pytest.fixture
def start(tmp_path):
    started = []

    def run() -> Server:
        options = Options(model_name="m", model_base_path=str(tmp_path / "m"), port=AUTO)
        started.append(Server(options).__enter__())
        return started[-1]

    yield run
    for server in started:
        server.__exit__(None, None, None)


def test_dtypes_and_names_that_change(start, publish, tmp_path):
    publish(tmp_path / "m", 1, "typed", {"a": "float64"}, given="float32")
    values = np.array([0.1, 2.0])
    with Client(start().grpc_address, timeout=30) as client:
        assert (
            client.predict("m", {"x": values})["a"].tolist()
            == (values.astype(np.float32).astype(float) + 0.75).tolist()
        )
        publish(tmp_path / "m", 2, "typed", {"b": "float64"}, given="float64")
        client.wait_until_available("m", 2)
        answer = client.predict("m", {"x": values})
        assert (answer.version, answer["b"].tolist()) == (2, (values + 0.75).tolist())
        publish(tmp_path / "m", 3, "typed", {"b": "float64"}, given="int32", name="z")
        client.wait_until_available("m", 3)
        assert client.predict("m", [5])["b"].tolist() == [5.75]
        with pytest.raises(InvalidArgument, match="unknown input 'x', did you mean 'z'"):
            client.predict("m", {"x": np.array([5])})


def test_what_the_cache_would_refuse_is_asked_for_anew(start, publish, tmp_path):
    """float32 sent to a version that takes it was refused by what was known of the one before."""
    publish(tmp_path / "m", 1, "typed", {"a": "float64"}, given="int32")
    with Client(start().grpc_address, timeout=30) as client:
        assert client.predict("m", {"x": np.array([5])})["a"].tolist() == [5.75]
        publish(tmp_path / "m", 2, "typed", {"a": "float64"}, given="float32")
        client.wait_until_available("m", 2)
        assert client.predict("m", {"x": np.array([0.5], np.float32)})["a"].tolist() == [1.25]


def test_a_dtype_that_fits_is_sent_without_looking_anything_up(publish, tmp_path):
    publish(tmp_path / "m", 1, "typed", {"a": "float32"})
    log = tmp_path / "access.log"
    options = Options(model_name="m", model_base_path=str(tmp_path / "m"), port=AUTO, access_log=str(log))
    with Server(options) as server, Client(server.grpc_address, timeout=30) as client:
        client.predict("m", {"x": np.zeros(1, np.float32)})
    assert [json.loads(line)["path"].rpartition("/")[2] for line in log.read_text().splitlines()] == ["Predict"]
