"""Big requests over gRPC: numbers in typed fields or as content, varints, strings; as requests and as answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import grpc
import numpy as np
from serving_peers.contestants import Ports

from fairness_load import model
from fairness_load.outcome import LONGEST_S, Errand, Outcome
from modelport import tensors
from modelport.wire import messages

PREDICT = "/tensorflow.serving.PredictionService/Predict"


def grpc_request(signature: str, values: model.Array, *, typed: bool = True) -> Errand:
    """Send an array, in typed fields or as one piece of content; the answer says what it came to."""
    data = _predict(signature, x=tensors.encode(values, typed=typed))
    sizes = np.array([len(text) for text in values.tolist()]) if values.dtype == object else values
    total = float(sizes.sum(dtype=np.float64))

    def fault(answer: bytes) -> str | None:
        outputs = messages.PredictResponse.FromString(answer).outputs
        got = [float(tensors.decode(outputs[name])[0]) for name in ("count", "total")]
        return None if np.allclose(got, [values.size, total], rtol=1e-5) else f"expected {[values.size, total]}: {got}"

    return _call(data, fault)


def grpc_answer(signature: str, count: int) -> Errand:
    """Ask for so many values."""
    data = _predict(signature, n=tensors.encode(np.array([count])))
    ends = model.made(signature, count)[[0, -1]]

    def fault(answer: bytes) -> str | None:
        got = tensors.decode(messages.PredictResponse.FromString(answer).outputs["y"])
        if got.shape == (count,) and (got[[0, -1]] == ends).all():
            return None
        return f"expected {count} values {ends}: {got.shape}"

    return _call(data, fault)


def _predict(signature: str, **inputs: messages.TensorProto) -> bytes:
    request = messages.PredictRequest(model_spec=messages.ModelSpec(name=model.NAME, signature_name=signature))
    for name, tensor in inputs.items():
        request.inputs.get_or_create(name).CopyFrom(tensor)
    return request.SerializeToString()


def _call(data: bytes, fault: Callable[[bytes], str | None]) -> Errand:
    unlimited: Sequence[tuple[str, int]] = [
        ("grpc.max_receive_message_length", -1),
        ("grpc.max_send_message_length", -1),
        ("grpc.use_local_subchannel_pool", 1),  # a connection of its own
    ]

    def run(ports: Ports) -> Outcome:
        with grpc.insecure_channel(f"127.0.0.1:{ports.grpc}", unlimited) as channel:
            answer: bytes = channel.unary_unary(PREDICT)(data, timeout=LONGEST_S)
        return Outcome(len(data) + len(answer), lambda: fault(answer))

    return run
