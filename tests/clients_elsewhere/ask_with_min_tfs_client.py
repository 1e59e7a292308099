"""Runs in min-tfs-client's environment: `ask_with_min_tfs_client.py HOST PORT`."""

import sys

import grpc
import numpy as np
from min_tfs_client.requests import TensorServingClient
from min_tfs_client.tensors import tensor_proto_to_ndarray

client = TensorServingClient(sys.argv[1], int(sys.argv[2]))
x = np.array([1.0, 2.0, 5.0], np.float32)
for version in (None, 2):
    response = client.predict_request("half_plus_two", {"x": x}, timeout=10, model_version=version)
    assert response.model_spec.version.value == 2, response.model_spec
    assert tensor_proto_to_ndarray(response.outputs["y"]).tolist() == [2.5, 3.0, 4.5], response
try:
    client.predict_request("another", {"x": x}, timeout=10)
except grpc.RpcError as error:
    assert error.code() is grpc.StatusCode.NOT_FOUND, error  # noqa: PT017
else:
    raise AssertionError("another model answered")
print("min-tfs-client: all answered")
