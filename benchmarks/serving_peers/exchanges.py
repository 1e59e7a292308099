"""The ways to ask a server for a prediction: what goes over the wire, and how the answer is read.

TensorFlow Serving's API (ours) over gRPC and REST, and the Open Inference Protocol ("V2") of KServe and MLServer.
"""

from __future__ import annotations

import http.client
import json
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
import numpy as np

from modelport import tensors
from modelport.wire import messages
from serving_peers import open_inference
from serving_peers.model import CLASSES, INPUT, NAME, OUTPUT, Array

PROBE_TIMEOUT_S = 20.0


@dataclass(frozen=True)
class Exchange:
    """One protocol.

    Args:
        name: as the tables print it.
        grpc: HTTP/2 with gRPC's frames; otherwise HTTP/1.1 with JSON.
        path: of the URL; for gRPC the method.
        encode: pixels -> request, without gRPC's frame.
        decode: answer, without the frame -> probabilities.
    """

    name: str
    grpc: bool
    path: str
    encode: Callable[[Array], bytes]
    decode: Callable[[bytes], Array]

    @property
    def headers(self) -> dict[str, str]:
        """What a request needs beside its length."""
        if self.grpc:
            return {"content-type": "application/grpc", "te": "trailers"}
        return {"content-type": "application/json"}

    def body(self, pixels: Array) -> bytes:
        """The request's body as it crosses the wire; gRPC puts a byte of flags and the length before a message."""
        data = self.encode(pixels)
        return struct.pack(">BI", 0, len(data)) + data if self.grpc else data

    def probe(self, port: int, pixels: Array) -> tuple[Array, int]:
        """Ask once, by a client that reads status codes and trailers.

        Returns:
            The probabilities, and the length of the answer's body on the wire.

        Raises:
            OSError: nobody there, or an answer that is none.
            ValueError: the server refuses.
        """
        data = self._call_grpc(port, pixels) if self.grpc else self._call_http(port, pixels)
        return self.decode(data), len(data) + (5 if self.grpc else 0)

    def _call_grpc(self, port: int, pixels: Array) -> bytes:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            call = channel.unary_unary(self.path)  # no serialisers: bytes in, bytes out
            try:
                answer: bytes = call(self.encode(pixels), timeout=PROBE_TIMEOUT_S)
            except grpc.RpcError as error:
                kind = OSError if error.code() == grpc.StatusCode.UNAVAILABLE else ValueError
                raise kind(f"{error.code().name}: {error.details()}") from error
            return answer

    def _call_http(self, port: int, pixels: Array) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PROBE_TIMEOUT_S)
        try:
            connection.request("POST", self.path, self.encode(pixels), self.headers)
            response = connection.getresponse()
            data = response.read()
        except http.client.HTTPException as error:
            raise OSError(f"{type(error).__name__}: {error}") from error
        finally:
            connection.close()
        if response.status != 200:
            raise ValueError(f"HTTP {response.status}: {data[:200].decode(errors='replace')}")
        return data


def _predict_request(pixels: Array) -> bytes:
    request = messages.PredictRequest(model_spec=messages.ModelSpec(name=NAME))
    request.inputs.get_or_create(INPUT).CopyFrom(tensors.encode(pixels))
    return request.SerializeToString()


def _predict_response(data: bytes) -> Array:
    return tensors.decode(messages.PredictResponse.FromString(data).outputs[OUTPUT])


def _instances(pixels: Array) -> bytes:
    return json.dumps({"instances": pixels.tolist()}).encode()


def _predictions(data: bytes) -> Array:
    answer = json.loads(data)
    return np.array(answer["predictions"] if isinstance(answer, dict) else answer, np.float32)


def _v2_body(pixels: Array) -> bytes:
    tensor = {"name": INPUT, "shape": pixels.shape, "datatype": "FP32", "data": pixels.ravel().tolist()}
    return json.dumps({"inputs": [tensor]}).encode()


def _v2_answer(data: bytes) -> Array:
    outputs: Sequence[dict[str, Any]] = json.loads(data)["outputs"]
    return np.array(outputs[0]["data"], np.float32).reshape(-1, CLASSES)


GRPC = Exchange("gRPC", True, "/tensorflow.serving.PredictionService/Predict", _predict_request, _predict_response)
REST = Exchange("REST", False, f"/v1/models/{NAME}:predict", _instances, _predictions)
REST_PREDICT = Exchange("REST", False, "/predict", _instances, _predictions)
GRPC_V2 = Exchange("gRPC V2", True, open_inference.METHOD, open_inference.encode, open_inference.decode)
REST_V2 = Exchange("REST V2", False, f"/v2/models/{NAME}/infer", _v2_body, _v2_answer)
