"""What the tests of the gRPC port send, as bytes, and how they see what comes of it."""

import grpc
import numpy as np

from modelport import tensors
from modelport.wire import messages
from modelport.wire.services import METHODS

PREDICT = METHODS["Predict"].path
STATUS = METHODS["GetModelStatus"].path


def predict(model: str = "affine", outputs: tuple[str, ...] = (), signature: str = "", **inputs: object) -> bytes:
    """A PredictRequest of float32 inputs."""
    spec = messages.ModelSpec(name=model, signature_name=signature)
    message = messages.PredictRequest(model_spec=spec, output_filter=outputs)
    for name, value in inputs.items():
        message.inputs[name].CopyFrom(tensors.encode(np.asarray(value, np.float32)))
    return message.SerializeToString()


def numbers(answer: bytes) -> dict[str, list[float]]:
    """The outputs of a PredictResponse."""
    return {k: tensors.decode(v).tolist() for k, v in messages.PredictResponse.FromString(answer).outputs.items()}


def code_of(call: grpc.Future) -> grpc.StatusCode:
    """What a call ended with, once it has."""
    error = call.exception(60)
    return grpc.StatusCode.OK if error is None else error.code()
