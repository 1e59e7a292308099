"""The one way of every inference, through both shells: what it answers, what it refuses, what it gives back."""

import json
import threading
import urllib.error
import urllib.request

import grpc
import numpy as np
import pytest

from modelport.errors import FailedPrecondition, InvalidArgument, ModelportError, NotFound, PermissionDenied
from modelport.wire import messages
from modelport.wire.services import METHODS
from modelport_client import Client
from modelport_serving import AUTO, Options, Server
from tests.support import graphs
from tests.support.grpc_calls import PREDICT, predict
from tests.support.waiting import eventually

ONES = {"x": np.ones((1, 4), np.float32)}


@pytest.fixture(scope="module")
def served(tmp_path_factory, model_files):
    """A server of odd signatures, of strings and of examples, which takes no reloads."""
    root = tmp_path_factory.mktemp("models")
    for build in (graphs.odd_ends, graphs.strings, graphs.examples):
        graphs.save(root / build.__name__ / "1", build)
    options = Options(model_repository=str(root), port=AUTO, rest_api_port=AUTO, enable_reload=False)
    with Server(options) as server:
        yield server


@pytest.fixture(params=["grpc", "rest"])
def client(request, served):
    target = served.grpc_address if request.param == "grpc" else served.rest_address
    with Client(target, timeout=30, retry=False) as connected:
        yield connected


@pytest.mark.parametrize(
    ("signature", "alias"), [("sparse_in", "x"), ("sparse_out", "y"), ("ragged_out", "y"), ("one_of_two", "z")]
)
def test_a_sparse_or_composite_signature_is_refused_in_one_line_and_the_others_answer(client, signature, alias):
    with pytest.raises(
        InvalidArgument, match=f"signature '{signature}' to have dense .* Its '{alias}' is declared"
    ) as no:
        client.predict("odd_ends", ONES, signature=signature)
    assert "\n" not in no.value.message.strip()
    assert client.predict("odd_ends", ONES)["y"].tolist() == [[2, 2, 2, 2]]
    assert signature in client.metadata("odd_ends").signatures


@pytest.mark.parametrize(
    ("signature", "code", "status"),
    [
        ("no_outputs", grpc.StatusCode.OUT_OF_RANGE, 400),
        ("second_output", grpc.StatusCode.OUT_OF_RANGE, 400),
        ("not_there", grpc.StatusCode.NOT_FOUND, 404),
    ],
)
def test_a_signature_that_names_what_the_graph_does_not_have(served, signature, code, status):
    request = predict("odd_ends", signature=signature, x=ONES["x"])
    with grpc.insecure_channel(served.grpc_address) as channel, pytest.raises(grpc.RpcError) as refused:
        channel.unary_unary(PREDICT)(request, timeout=20)
    assert refused.value.code() is code
    body = json.dumps({"signature_name": signature, "instances": [[1.0] * 4]}).encode()
    with pytest.raises(urllib.error.HTTPError) as answered:
        urllib.request.urlopen(f"{served.rest_address}/v1/models/odd_ends:predict", body, timeout=20)
    with answered.value as answer:
        assert answer.code == status
        assert json.load(answer)["error"] == refused.value.details()


@pytest.mark.parametrize(
    ("signature", "value"),
    [("number", b"\xff\xfe"), ("number", b"12x"), ("base64", b"\xff~~"), ("image", b"\xff\xd8\xff\xe0 no picture")],
)
def test_what_an_operation_says_of_bytes_that_are_no_text(client, signature, value):
    """A code of INTERNAL is the server's fault, and counts into its alert; these are the sender's."""
    with pytest.raises(InvalidArgument) as caught:
        client.predict("strings", {"x": np.array([value], object)}, signature=signature)
    assert caught.value.message
    assert client.predict("strings", {"x": np.array([b"1.5"], object)}, signature="number")["y"].tolist() == [1.5]


def test_the_signatures_of_the_version_that_answers(served):
    plane = served._plane
    assert "sparse_in" in plane.signatures(messages.ModelSpec(name="odd_ends"))
    assert plane.signatures(messages.ModelSpec(name="nobody")) is None


def test_reloads_can_be_closed(served):
    with grpc.insecure_channel(served.grpc_address) as channel, pytest.raises(grpc.RpcError) as closed:
        channel.unary_unary(METHODS["HandleReloadConfigRequest"].path)(b"", timeout=10)
    assert closed.value.code().name == PermissionDenied.code.name
    assert closed.value.details() == "This server was started with --enable_reload=false."


@pytest.mark.parametrize("size", [2**18, 2**21])
def test_large_requests_and_answers(tmp_path, add_version, size):
    """Past a megabyte they are read and written beside the event loop."""
    base = add_version(tmp_path / "m", 1, "affine-2").parent
    options = Options(model_name="m", model_base_path=str(base), port=AUTO, rest_api_port=AUTO)
    x = np.arange(size, dtype=np.float32)
    words = np.array([b"w%d" % number for number in range(size // 64)], object)
    with Server(options) as server:
        for target in (server.grpc_address, server.rest_address):
            with Client(target, timeout=120) as client:
                assert (client.predict("m", {"x": x})["y"] == x / 2 + 2).all()
                upper = client.predict("m", {"s": words}, signature="text")["upper_bytes"]
                assert [bytes(w) if isinstance(w, bytes) else w.encode() for w in upper.tolist()] == [
                    word.upper() for word in words.tolist()
                ]


FAILING = [
    ({"x": np.zeros(1, np.float32)}, {"signature": "nobody"}),
    ({"y": np.zeros(1, np.float32)}, {}),
    ({"x": np.zeros((1,) * 5, np.float32)}, {}),
    ({"x": np.zeros((2, 2, 2), np.int32)}, {}),
    ({"x": np.array([b"a"], object)}, {}),
    ({"a": np.zeros(2, np.float32), "b": np.zeros(3, np.float32)}, {"signature": "named"}),
    ({"x": np.zeros(2**19, np.complex64)}, {}),
]


def test_no_failure_keeps_a_version_from_being_unloaded(tmp_path, add_version):
    """A handle that is not given back would hold it for ever."""
    base = add_version(tmp_path / "m", 1, "affine-2").parent
    options = Options(
        model_name="m", model_base_path=str(base), port=AUTO, rest_api_port=AUTO, max_tensor_rank=4, run_threads=1
    )
    with Server(options) as server:
        failed = 0
        for target in (server.grpc_address, server.rest_address):
            with Client(target, timeout=30, retry=False) as client:
                for inputs, call in FAILING:
                    for _ in range(3):
                        try:
                            client.predict("m", inputs, **call)
                        except (ModelportError, TypeError, ValueError):
                            failed += 1
        assert failed > 3 * len(FAILING)
        with grpc.insecure_channel(server.grpc_address) as channel:
            for name in ("Predict", "Classify", "Regress", "GetModelMetadata"):
                for spec in (b"", messages.PredictRequest(model_spec=messages.ModelSpec(name="m")).SerializeToString()):
                    with pytest.raises(grpc.RpcError):
                        channel.unary_unary(METHODS[name].path)(spec, timeout=10)
        add_version(base, 2, "affine-3")
        eventually(lambda: server.core.manager.available("m") == [2])
        eventually(lambda: server.core.version_states().get(("m", "1", "END")))


def test_a_reload_that_waits_holds_up_nobody(tmp_path, add_version):
    base = add_version(tmp_path / "m", 1, "affine-2").parent
    (tmp_path / "empty").mkdir()
    lines = []
    with Server(Options(model_name="m", model_base_path=str(base), port=AUTO), warn=lines.append) as server:
        request = messages.ReloadConfigRequest()
        for name in ("m", "empty"):
            request.config.model_config_list.config.add(
                name=name, base_path=str(tmp_path / name), model_platform="tensorflow"
            )
        with grpc.insecure_channel(server.grpc_address) as channel, Client(server.grpc_address) as client:
            reload = channel.unary_unary(METHODS["HandleReloadConfigRequest"].path)
            waits = reload.future(request.SerializeToString(), timeout=60)
            eventually(lambda: any("No versions of model 'empty'" in line for line in lines))
            assert client.predict("m", {"x": np.float32([2])})["y"].tolist() == [3]
            assert not waits.done()
            add_version(tmp_path / "empty", 1, "affine-3")
            assert messages.ReloadConfigResponse.FromString(waits.result(60)).status.error_code == 0


def test_a_version_that_is_not_there_is_told_before_the_request_is_read(served):
    with Client(served.grpc_address, retry=False) as client:
        with pytest.raises(NotFound, match=r"Latest\(nobody\)"):
            client.predict("nobody", {"x": np.zeros(2**20, np.float32)})
        with pytest.raises((FailedPrecondition, InvalidArgument, NotFound)):
            client.predict("strings", {"x": np.array([b"a"], object)}, signature="nobody")


def test_many_clients_of_both_shells_get_their_own_answers(served):
    wrong = []

    def ask(target, first):
        with Client(target, timeout=60) as client:
            for number in range(first, first + 20):
                got = client.predict("strings", {"x": np.array([b"%d" % number], object)}, signature="number")["y"]
                wrong.extend(value for value in got.tolist() if value != number)

    targets = (served.grpc_address, served.rest_address) * 4
    threads = [threading.Thread(target=ask, args=(target, 100 * n)) for n, target in enumerate(targets)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
