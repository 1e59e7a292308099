"""Messages that a client made up: each is met with one clear answer, and the server goes on."""

import grpc
import numpy as np
import pytest

from modelport import tensor_shapes
from modelport.wire import messages
from modelport_client import Client
from modelport_serving import AUTO, Options, Server

PREDICT = "/tensorflow.serving.PredictionService/Predict"


@pytest.fixture(scope="module")
def limited(model_files, tmp_path_factory):
    """A server with small limits."""
    root = tmp_path_factory.mktemp("limited")
    (root / "m").mkdir()
    (root / "m" / "1").symlink_to(model_files / "affine-2")
    options = Options(
        model_name="m",
        model_base_path=str(root / "m"),
        port=AUTO,
        max_tensor_rank=4,
        enable_reload=False,
    )
    with Server(options) as server:
        yield server


def still_answers(server):
    with Client(server.grpc_address) as client:
        assert client.predict("m", np.zeros(1, np.float32))["y"].tolist() == [2.0]


@pytest.mark.parametrize(
    "proto",
    [
        messages.TensorProto(dtype=1, tensor_shape=tensor_shapes.shape_proto([2**40])),
        messages.TensorProto(dtype=1, tensor_shape=tensor_shapes.shape_proto([2**31, 2**31])),
        messages.TensorProto(dtype=1, tensor_shape=tensor_shapes.shape_proto([2**62, 2**62, 2**62])),
        messages.TensorProto(dtype=7, tensor_shape=tensor_shapes.shape_proto([2**35]), string_val=[b"a"]),
        messages.TensorProto(dtype=1, tensor_shape=tensor_shapes.shape_proto([1000]), tensor_content=b"1234"),
        messages.TensorProto(dtype=1, tensor_shape=tensor_shapes.shape_proto([1] * 70)),
        messages.TensorProto(dtype=1, tensor_shape=tensor_shapes.shape_proto([-5])),
        messages.TensorProto(dtype=99),
    ],
)
def test_a_declared_shape_never_allocates(limited, proto):
    request = messages.PredictRequest(model_spec=messages.ModelSpec(name="m"))
    request.inputs.get_or_create("x").CopyFrom(proto)
    with grpc.insecure_channel(limited.grpc_address) as channel:
        call = channel.unary_unary(PREDICT)
        with pytest.raises(grpc.RpcError) as refused:
            call(request.SerializeToString(), timeout=10)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    still_answers(limited)


@pytest.mark.parametrize("data", [b"\xff", b"\x0a\xff\xff\xff\xff\x0f", b"\x12\x05ab"])
def test_malformed_bytes(limited, data):
    with grpc.insecure_channel(limited.grpc_address) as channel:
        with pytest.raises(grpc.RpcError) as refused:
            channel.unary_unary(PREDICT)(data, timeout=10)
        assert refused.value.code() in (grpc.StatusCode.INTERNAL, grpc.StatusCode.INVALID_ARGUMENT)
    still_answers(limited)


def test_reloads_can_be_closed(limited):
    with grpc.insecure_channel(limited.grpc_address) as channel:
        with pytest.raises(grpc.RpcError) as refused:
            channel.unary_unary("/tensorflow.serving.ModelService/HandleReloadConfigRequest")(b"", timeout=10)
        assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
