"""The same call means the same on both transports."""

import numpy as np
import pytest

from modelport.errors import InvalidArgument
from modelport_client import Client
from modelport_serving import AUTO, Options, Server
from tests.support.blocking import Blocking


@pytest.fixture(scope="module")
def typed_server(tmp_path_factory):
    """Models `wide`, `ints` (takes int32), `column` (matrix) and `text`."""
    from tests.support import models

    root = tmp_path_factory.mktemp("typed")
    models.wide(root / "wide/1")
    models.typed(root / "ints/1", {"a": "float32"}, given="int32")
    models.matrix(root / "matrix/1")
    models.affine(root / "affine/1")
    names = ("wide", "ints", "matrix", "affine")
    configs = [f'config {{ name: "{n}" base_path: "{root}/{n}" model_platform: "tensorflow" }}' for n in names]
    (root / "models.config").write_text("model_config_list {" + " ".join(configs) + "}")
    with Server(Options(model_config_file=str(root / "models.config"), port=AUTO, rest_api_port=AUTO)) as server:
        yield server


@pytest.fixture
def ask(typed_server):
    """What both transports and both surfaces answer, or refuse with the same error."""
    with (
        Client(typed_server.grpc_address, timeout=30) as grpc_client,
        Client(typed_server.rest_address, timeout=30) as rest_client,
        Blocking(typed_server.grpc_address, timeout=30) as grpc_async,
        Blocking(typed_server.rest_address, timeout=30) as rest_async,
    ):

        def both(model, inputs, **arguments):
            found = []
            for client in (grpc_client, rest_client, grpc_async, rest_async):
                try:
                    answer = client.predict(model, inputs, **arguments)
                    found.append({name: (a.dtype.name, a.shape, a.tolist()) for name, a in sorted(answer.items())})
                except InvalidArgument as error:
                    found.append(error.message)
            assert len({type(one) for one in found}) == 1, found
            assert found[0] == found[2]
            assert found[1] == found[3]
            if isinstance(found[0], dict):
                assert found[0] == found[1]
            return found

        yield both


@pytest.mark.parametrize(
    "values",
    [np.random.default_rng(1).random((2, 3)), np.arange(6).reshape(2, 3), np.ones((2, 3), np.uint8), [[1, 2, 3]]],
    ids=["float64", "int64", "uint8", "list"],
)
def test_arrays_that_fit(ask, values):
    expected = (np.asarray(values, np.float32) @ np.eye(3, 2, dtype=np.float32)).tolist()
    for inputs in ({"x": values}, values):
        assert ask("matrix", inputs)[0]["y"] == ("float32", (len(values), 2), expected)


@pytest.mark.parametrize(
    ("model", "values", "words"),
    [
        ("ints", np.array([2**31]), ["int32", "int64", "2147483648"]),
        ("ints", np.array([1.5]), ["int32", "double"]),
        ("ints", np.array([1.0], np.float32), ["int32", "float"]),
        ("ints", [1.0], ["int32", "double"]),
        ("affine", np.array([1e39]), ["float", "double", "1e+39"]),
        ("affine", np.array([2**24 + 1]), ["float", "int64", "16777217"]),
        ("affine", np.array(["a"], object), ["should be float [?], is string [1]"]),
        ("affine", np.array(["a"]), ["should be float [?], is string [1]"]),
    ],
)
def test_what_would_lose_is_refused(ask, model, values, words):
    for message in ask(model, {"x": values}):
        assert all(word in message for word in words), message


def test_no_rows(ask):
    """REST was refused by the model, and lost the inner dimensions of the answer."""
    for dtype in (np.float32, np.float64, np.int64):
        answer = ask("wide", {"x": np.zeros((0, 3), dtype)})[0]
        assert answer == {
            "y": ("float32", (0, 10), []),
            "n": ("int64", (0,), []),
            "fixed": ("float32", (2,), [1.0, 2.0]),
        }
    assert ask("wide", {"x": np.zeros(0, np.float32)}, signature="flat")[0]["y"] == ("float32", (0, 4), [])
    assert ask("wide", [], signature="flat")[0]["y"] == ("float32", (0, 4), [])
    assert ask("ints", [])[0]["a"] == ("float32", (0,), [])
    assert ask("affine", [], signature="text")[0]["upper_bytes"] == ("object", (0,), [])
    assert ask("affine", np.array([], object), signature="text")[0]["upper_bytes"] == ("object", (0,), [])
    ask("matrix", {"x": np.zeros((0, 4), np.float32)})


def test_scalars_and_columns(ask):
    for value in (3, 3.0, np.float32(3), np.float64(3), np.int64(3), np.array(3.0)):
        assert ask("affine", {"x": value})[0]["y"] == ("float32", (), 3.5)
    ask("matrix", {"x": np.ones(3)})  # of another rank: whatever the model says to it, over both


def test_strings_that_are_no_utf8(ask):
    """REST could not read what it was answered."""
    values = [b"\xff\xfe", "é".encode(), b"a\0", b'"']
    for array in (np.array(values, object), values):
        assert ask("wide", {"s": array}, signature="echo")[0]["t"] == ("object", (4,), values)
        upper = [value.upper() for value in values]
        assert ask("affine", {"s": array}, signature="text")[0]["upper_bytes"] == ("object", (4,), upper)
    assert ask("wide", {"s": np.array(b"\xff", object)}, signature="echo")[0]["t"] == ("object", (), b"\xff")
    for value in ("\udc80", ["a", "\ud800"], np.array(["\udc80"]), np.array(["\udc80"], object)):
        for message in ask("affine", {"s": value}, signature="text"):
            assert "text that UTF-8 can carry, or bytes" in message
    for message in ask("affine", {"s": np.array([None, "a"], object)}, signature="text"):
        assert "received NoneType" in message
