"""Predictions over both transports, against the embedded server on real ports."""

import threading
from pathlib import Path

import numpy as np
import pytest

from modelport.errors import (
    Code,
    DeadlineExceeded,
    InvalidArgument,
    ModelportError,
    NotFound,
    Unavailable,
)
from modelport_client import Client, Prediction
from tests.support.blocking import Blocking


def test_arrays_by_name(client):
    answer = client.predict("affine", {"x": np.array([1, 2, 5], np.float32)})
    assert isinstance(answer, Prediction)
    assert answer["y"].tolist() == [2.5, 3.0, 4.5]
    assert answer["y"].dtype == np.float32
    assert (answer.model, answer.version, answer.signature) == ("affine", 1, "serving_default")


@pytest.mark.parametrize("inputs", [[1, 2.0], (1, 2), np.array([1, 2], np.float32), {"x": [1, 2]}])
def test_values_take_the_signatures_dtype(client, inputs):
    assert client.predict("affine", inputs)["y"].tolist() == [2.5, 3.0]


def test_several_inputs_and_outputs(client):
    answer = client.predict("affine", {"a": [3, 4], "b": [1, 1]}, signature="named")
    assert {name: array.tolist() for name, array in answer.items()} == {"sum": [4.0, 5.0], "difference": [2.0, 3.0]}
    only = client.predict("affine", {"a": [3], "b": [1]}, signature="named", outputs=["sum"])
    assert list(only) == ["sum"]


def test_strings_and_bytes(client):
    for value in (["abc", b"d\0\xff"], np.array(["abc", b"d\0\xff"], object)):
        assert client.predict("affine", {"s": value}, signature="text")["upper_bytes"].tolist() == [b"ABC", b"D\0\xff"]
    assert client.predict("affine", b"one", signature="text")["upper_bytes"].tolist() == [b"ONE"]


def test_files(client, tmp_path):
    path = tmp_path / "note.txt"
    path.write_bytes(b"from a file")
    assert client.predict("affine", path, signature="text")["upper_bytes"].tolist() == [b"FROM A FILE"]
    assert client.predict("affine", [path, path], signature="text")["upper_bytes"].shape == (2,)
    with pytest.raises(NotFound, match="read the image"):
        client.predict("affine", Path("/nowhere/at/all.png"), signature="text")


def test_versions(client):
    assert client.predict("affine", [0.0], version=1)["y"].tolist() == [2.0]


@pytest.mark.parametrize("size", [0, 1, 3_000_000])
def test_batches_of_any_size(client, size):
    """The largest is past gRPC's default bound of 4 MiB, both ways."""
    answer = client.predict("affine", {"x": np.zeros(size, np.float32)})
    assert answer["y"].shape == (size,)
    assert (answer["y"] == 2.0).all()


def test_metadata(client):
    metadata = client.metadata("affine")
    assert (metadata.model, metadata.version) == ("affine", 1)
    assert sorted(metadata.signatures) == ["named", "serving_default", "text"]
    default = metadata.signatures["serving_default"]
    assert str(default.inputs["x"]) == "float [?]"
    assert default.outputs["y"].shape == (-1,)


def test_status(client):
    (state,) = client.status("affine")
    assert (state.version, state.state, state.code, state.message) == (1, "AVAILABLE", Code.OK, "")
    assert client.wait_until_available("affine", 1, timeout=5) == 1


@pytest.mark.parametrize("surface", [Client, Blocking])
@pytest.mark.parametrize("target", ["127.0.0.1:1", "http://127.0.0.1:1"])
def test_nobody_there(target, surface):
    with surface(target, timeout=5) as client:
        with pytest.raises(Unavailable, match=r"No server answers at .*127.0.0.1:1"):
            client.predict("m", {"x": np.zeros(1, np.float32)})
        with pytest.raises(DeadlineExceeded, match=r"within 0.3 s; last: No server answers"):
            client.wait_until_available("m", 1, timeout=0.3)


def test_a_deadline(client):
    with pytest.raises(DeadlineExceeded, match=r"within 0.3"):
        client.predict("slow", {"seconds": np.float32(3)}, timeout=0.3)
    assert client.predict("slow", {"seconds": np.float32(0)})["done"] == 0


@pytest.mark.parametrize("surface", [Client, Blocking])
@pytest.mark.parametrize("kind", ["gRPC", "REST"])
@pytest.mark.slow
def test_the_server_goes_in_the_middle_of_a_call(serve, add_version, tmp_path, kind, surface):
    add_version(tmp_path / "slow", 1, "slow")
    process = serve("--model_name=slow", f"--model_base_path={tmp_path}/slow", "--port=auto", "--rest_api_port=auto")
    outcome: list[ModelportError] = []
    with surface(process.address(kind), timeout=30, retry=False) as client:
        client.predict("slow", {"seconds": np.float32(0)})

        def ask() -> None:
            try:
                client.predict("slow", {"seconds": np.float32(10)})
            except ModelportError as error:
                outcome.append(error)

        thread = threading.Thread(target=ask)
        thread.start()
        thread.join(0.5)
        process.process.kill()
        thread.join(10)
    assert [type(error) for error in outcome] == [Unavailable]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"model": "", "inputs": {}}, "name of a model"),
        ({"model": "m", "inputs": {}, "version": 1, "label": "a"}, "a version or a label"),
        ({"model": "m", "inputs": {}, "timeout": 0}, "more than 0"),
    ],
)
def test_calls_that_make_no_sense(server, arguments, words):
    with Client(server.grpc_address) as client, pytest.raises(InvalidArgument, match=words):
        client.predict(**arguments)


def test_targets_that_make_no_sense():
    with pytest.raises(InvalidArgument, match="a target such as"):
        Client("")
    with pytest.raises(InvalidArgument, match="more than 0"):
        Client("localhost:1", timeout=-1)


def test_a_closed_client(client):
    client.predict("affine", [1.0])
    client.close()
    with pytest.raises(Unavailable, match="was closed"):
        client.predict("affine", [1.0])


def test_many_threads_share_a_client(client):
    wrong: list[object] = []

    def ask(number: int) -> None:
        for _ in range(20):
            answer = client.predict("affine", {"x": np.full(3, number, np.float32)})["y"].tolist()
            if answer != [number / 2 + 2] * 3:
                wrong.append(answer)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
