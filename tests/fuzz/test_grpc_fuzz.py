"""gRPC with any bytes for a request: a status of the API, never an unexpected error, and the server goes on."""

import grpc
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelport import tensors
from modelport.wire import messages
from tests.fuzz.test_wire_properties import protos

# Reloading is left out: bytes that happen to be a configuration would replace the models.
METHODS = [
    f"/tensorflow.serving.{name}"
    for name in (
        "PredictionService/Predict",
        "PredictionService/Classify",
        "PredictionService/Regress",
        "PredictionService/MultiInference",
        "PredictionService/GetModelMetadata",
        "ModelService/GetModelStatus",
    )
]
BUG = (grpc.StatusCode.UNKNOWN, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


@pytest.fixture(scope="module")
def channel(server):
    with grpc.insecure_channel(server.grpc_address) as connected:
        yield connected


def call(channel, method: str, data: bytes) -> bytes | None:
    under_way = channel.unary_unary(method).future(data, timeout=10)
    code, text = under_way.code(), under_way.details()
    assert code not in BUG, f"{code}: {text}"
    # INTERNAL without a word is the real server's answer to bytes that are no message
    assert code is not grpc.StatusCode.INTERNAL or not text, text
    return under_way.result() if code is grpc.StatusCode.OK else None


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=40, deadline=None)
@given(data=st.binary(max_size=100))
def test_any_bytes(channel, method, data):
    spec = messages.ModelSpec(name="affine").SerializeToString()
    call(channel, method, data)
    call(channel, method, b"\x0a" + bytes([len(spec)]) + spec + data)


@settings(max_examples=150, deadline=None)
@given(proto=protos(), signature=st.sampled_from(["", "named", "text"]), model=st.sampled_from(["affine", "matrix"]))
def test_any_tensor(channel, proto, signature, model):
    """Of at most 2**16 elements: a few bytes may ask for 2 GiB, and would get them."""
    sizes = [dim.size for dim in proto.tensor_shape.dim]
    if 2**16 < np.prod([float(size) for size in sizes]) < 2**33:
        return
    request = messages.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = model, signature
    for alias in {"": "x", "named": "ab", "text": "s"}[signature]:
        request.inputs.get_or_create(alias).CopyFrom(proto)
    call(channel, METHODS[0], request.SerializeToString())


def test_a_good_request_after_all_that(channel):
    request = messages.PredictRequest()
    request.model_spec.name = "affine"
    request.inputs.get_or_create("x").CopyFrom(tensors.encode(np.float32([1, 2, 5])))
    data = call(channel, METHODS[0], request.SerializeToString())
    assert tensors.decode(messages.PredictResponse.FromString(data).outputs["y"]).tolist() == [2.5, 3.0, 4.5]
