"""Runs in ovmsclient's environment: `ask_with_ovmsclient.py GRPC_ADDRESS REST_ADDRESS`."""

import sys

import numpy as np
from ovmsclient import make_grpc_client, make_http_client
from ovmsclient.tfs_compat.base.errors import InvalidInputError, ModelNotFoundError

NAME, VERSION = "half_plus_two", 2  # this client always names a version: without one it asks for 0, OpenVINO's "newest"
X = np.array([1.0, 2.0, 5.0], np.float32)


def refused(error, call, *arguments):
    try:
        call(*arguments)
    except error:
        return
    raise AssertionError(f"{call.__name__}{arguments} was not refused with {error.__name__}")


def ask(client):
    assert client.predict({"x": X}, NAME, VERSION).tolist() == [2.5, 3.0, 4.5]
    status = {"state": "AVAILABLE", "error_code": 0, "error_message": ""}
    assert client.get_model_status(NAME, VERSION) == {VERSION: status}
    refused(ModelNotFoundError, client.predict, {"x": X}, "another", VERSION)
    refused(ModelNotFoundError, client.get_model_status, NAME, 7)
    refused(InvalidInputError, client.predict, {"wrong": X}, NAME, VERSION)


grpc_client, http_client = make_grpc_client(sys.argv[1]), make_http_client(sys.argv[2])
ask(grpc_client)
ask(http_client)
metadata = grpc_client.get_model_metadata(NAME, VERSION)
assert metadata == {
    "model_version": VERSION,
    "inputs": {"x": {"shape": [-1], "dtype": "DT_FLOAT"}},
    "outputs": {"y": {"shape": [-1], "dtype": "DT_FLOAT"}},
}, metadata
# Over REST it looks for OpenVINO's spelling of the names and otherwise hands over the answer as it is.
metadata = http_client.get_model_metadata(NAME, VERSION)
assert metadata["model_spec"] == {"name": NAME, "signature_name": "", "version": str(VERSION)}, metadata
signature = metadata["metadata"]["signature_def"]["signature_def"]["serving_default"]
assert signature["inputs"]["x"]["dtype"] == "DT_FLOAT", signature
print("ovmsclient: all answered")
