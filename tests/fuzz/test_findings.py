"""What fuzzing found in the running server, one test each: the least request that shows it, and the right answer.

Inputs that break a decoder by themselves are in the corpus as `finding-…`; here is what takes a server to see.
"""

import time
import tracemalloc
from contextlib import suppress

import grpc
import pytest

from modelport import tensor_shapes, tensors
from modelport.errors import ModelportError
from modelport.wire import messages
from tests.fuzz.raw_http import GOOD, answer, request, still_answers

pytestmark = pytest.mark.finding

PREDICT = b"/v1/models/affine:predict"
STATUS = b"/v1/models/affine"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b'[{"x": [1.0]}]', id="no object around the rows"),
        pytest.param(b"[" * 999 + b"]" * 999, id="nested 999 deep"),
        pytest.param(b'{"instances": ' + b"[" * 65 + b"1" + b"]" * 65 + b"}", id="rows nested 65 deep"),
    ],
)
def test_these_bodies_are_bad_requests(server, body):
    assert answer(server.rest_address, request(PREDICT, body)).status == 400


def test_a_version_of_5000_digits_is_an_empty_400(server):
    """`int()` takes at most 4300 digits."""
    got = answer(server.rest_address, request(STATUS + b"/versions/" + b"9" * 5000, method=b"GET"))
    assert (got.status, got.body) == (400, b"")


@pytest.mark.parametrize("target", [b"http://[", b"http://]/v1/models/affine", b"http://[/v1/models/affine"])
def test_a_target_that_is_no_url_is_refused(server, target):
    """`urlsplit` raises on it."""
    assert answer(server.rest_address, request(target, method=b"GET")).status in (400, 404)


def test_an_upgrade_that_is_not_wanted_is_ignored(server):
    """Java's HttpClient offers h2c with its first request; a server that does not know it answers in HTTP/1.1."""
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAA\r\n"
    assert answer(server.rest_address, request(PREDICT, GOOD, headers=offer)).status == 200
    assert answer(server.rest_address, request(STATUS, method=b"GET", headers=offer)).status == 200


def test_a_good_request_before_a_broken_one_gets_its_own_answer(server):
    """The refusal of the second must not be taken for the answer to the first."""
    got = answer(server.rest_address, request(PREDICT, GOOD) + b"BROKEN\r\n\r\n", until_closed=True)
    assert got.status == 200
    assert got.rest.startswith((b"HTTP/1.1 400", b"HTTP/1.1 501"))


def test_trace_is_not_implemented(server):
    """As in the real server's HTTP library."""
    assert answer(server.rest_address, request(STATUS, method=b"TRACE")).status == 501


@pytest.mark.parametrize("shape", [[1] * 65, [2**62, 0]])
def test_no_shape_is_an_unexpected_error_over_grpc(server, shape):
    proto = messages.TensorProto(dtype=messages.DT_FLOAT, tensor_shape=tensor_shapes.shape_proto(shape))
    assert _predict(server.grpc_address, "", "x", proto) is grpc.StatusCode.INVALID_ARGUMENT


def test_strings_of_33_dimensions_do_not_kill_the_server(serve, add_version, tmp_path):
    """`SessionRun` crashes on object arrays that numpy's old iterators cannot walk. A server of its own."""
    base = add_version(tmp_path / "affine", 1, "affine-2").parent
    running = serve("--model_name=affine", f"--model_base_path={base}", "--port=auto", "--rest_api_port=auto")
    rest, rpc = running.address("REST"), running.address("gRPC")
    body = b'{"signature_name": "text", "inputs": ' + b"[" * 33 + b'"a"' + b"]" * 33 + b"}"
    assert answer(rest, request(PREDICT, body)).status in (200, 400), f"exit code {running.process.poll()}"
    proto = messages.TensorProto(dtype=messages.DT_STRING, tensor_shape=tensor_shapes.shape_proto([1] * 33))
    assert _predict(rpc, "text", "s", proto) in (grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT)
    assert still_answers(rest)


def _predict(address: str, signature: str, alias: str, proto: messages.TensorProto) -> grpc.StatusCode:
    sent = messages.PredictRequest()
    sent.model_spec.name, sent.model_spec.signature_name = "affine", signature
    sent.inputs.get_or_create(alias).CopyFrom(proto)
    with grpc.insecure_channel(address) as channel:
        predict = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
        return predict.future(sent.SerializeToString(), timeout=10).code()


def _many_dimensions(count: int, size: int) -> messages.TensorProto:
    dim = messages.TensorShapeProto.Dim(size=size).SerializeToString()
    shape = messages.TensorShapeProto.FromString((b"\x12" + bytes([len(dim)]) + dim) * count)
    return messages.TensorProto(dtype=messages.DT_FLOAT, tensor_shape=shape)


def _seconds_to_refuse(proto: messages.TensorProto) -> float:
    begin = time.process_time()
    with pytest.raises(ModelportError):
        tensors.decode(proto)
    return time.process_time() - begin


def test_many_dimensions_are_refused_in_linear_time():
    """The product of 40,000 sizes has 2.5 million bits: multiplied out, it took 4 s with the interpreter locked."""
    assert _seconds_to_refuse(_many_dimensions(40_000, 2**62)) < 0.5


def test_large_shapes_are_not_remembered():
    """Many dimensions, or one with a long name: a cache of 4096 of them is the server's memory."""
    shapes = [messages.TensorShapeProto.FromString(b"\x12\x00" * (200_000 + index)) for index in range(3)]
    names = ["x" * (1_000_000 + index) for index in range(3)]
    shapes += [messages.TensorShapeProto(dim=[messages.TensorShapeProto.Dim(size=0, name=name)]) for name in names]
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for shape in shapes:
            with suppress(ModelportError, ValueError):  # which of them is another test's business
                tensors.decode(messages.TensorProto(dtype=messages.DT_FLOAT, tensor_shape=shape))
        assert tracemalloc.get_traced_memory()[0] - before < 1 << 20
    finally:
        tracemalloc.stop()


def test_string_lengths_that_add_up_only_in_64_bits():
    content = (b"\x80" * 8 + b"\x40") * 4  # four times 2**62
    proto = messages.TensorProto(
        dtype=messages.DT_STRING, tensor_shape=tensor_shapes.shape_proto([4]), tensor_content=content
    )
    with pytest.raises(ModelportError):
        tensors.decode(proto)
