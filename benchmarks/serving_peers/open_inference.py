"""The gRPC messages of the Open Inference Protocol, as far as one tensor in and one out need them.

Described here field by field (numbers from `open_inference_grpc.proto`), so that neither KServe's nor MLServer's
package has to be installed beside ours. Fields that are not listed are skipped when read.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, message_factory
from google.protobuf.descriptor_pool import DescriptorPool

from serving_peers.model import INPUT, NAME, Array

METHOD = "/inference.GRPCInferenceService/ModelInfer"

_PACKAGE = "inference"
_STRING, _BYTES, _FLOAT, _INT64 = "STRING", "BYTES", "FLOAT", "INT64"
_MESSAGES: dict[str, list[tuple[str, int, str, bool]]] = {  # name, number, type, repeated
    "InferTensorContents": [("fp32_contents", 6, _FLOAT, True)],
    "InferTensor": [
        ("name", 1, _STRING, False),
        ("datatype", 2, _STRING, False),
        ("shape", 3, _INT64, True),
        ("contents", 5, "InferTensorContents", False),
    ],
    "ModelInferRequest": [
        ("model_name", 1, _STRING, False),
        ("inputs", 5, "InferTensor", True),
        ("raw_input_contents", 7, _BYTES, True),
    ],
    "ModelInferResponse": [("outputs", 5, "InferTensor", True), ("raw_output_contents", 6, _BYTES, True)],
}


def encode(pixels: Array) -> bytes:
    """The request with the pixels as raw bytes, the faster of the protocol's two forms."""
    tensor = _CLASSES["InferTensor"](name=INPUT, datatype="FP32", shape=pixels.shape)
    request = _CLASSES["ModelInferRequest"](
        model_name=NAME, inputs=[tensor], raw_input_contents=[pixels.astype("<f4").tobytes()]
    )
    data: bytes = request.SerializeToString()
    return data


def decode(data: bytes) -> Array:
    """The first output tensor, from either form."""
    response = _CLASSES["ModelInferResponse"].FromString(data)
    tensor = response.outputs[0]
    if response.raw_output_contents:
        values = np.frombuffer(response.raw_output_contents[0], "<f4")
    else:
        values = np.array(tensor.contents.fp32_contents, np.float32)
    return values.reshape(tuple(tensor.shape))


def _classes() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(name="open_inference.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, number, kind, repeated in fields:
            entry = message.field.add(name=field, number=number, label=3 if repeated else 1)
            if kind in _MESSAGES:
                entry.type, entry.type_name = entry.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
            else:
                entry.type = getattr(entry, f"TYPE_{kind}")
    pool = DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")) for name in _MESSAGES
    }


_CLASSES = _classes()
