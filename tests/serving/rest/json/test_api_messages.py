"""Status and metadata bodies, compared with the official JSON of the official messages."""

import json

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import json_format

from modelport import tensors
from modelport.dtypes import BY_NAME
from modelport.wire import messages
from modelport_serving.rest.json import encode_metadata, encode_status


def test_status():
    response = messages.GetModelStatusResponse()
    response.model_version_status.add(version=123, state=messages.ModelVersionStatus.AVAILABLE).status.SetInParent()
    broken = response.model_version_status.add(version=2, state=messages.ModelVersionStatus.END)
    broken.status.error_code = 9
    broken.status.error_message = 'no "x"'
    assert encode_status(response) == (
        b'{\n "model_version_status": [\n  {\n   "version": "123",\n   "state": "AVAILABLE",\n   "status": {\n'
        b'    "error_code": "OK",\n    "error_message": ""\n   }\n  },\n  {\n   "version": "2",\n   "state": "END",\n'
        b'   "status": {\n    "error_code": "FAILED_PRECONDITION",\n    "error_message": "no \\"x\\""\n   }\n  }\n ]\n'
        b"}\n"
    )


def metadata_of(signature):
    response = messages.GetModelMetadataResponse()
    response.model_spec.name = "m"
    response.model_spec.version.value = 3
    signatures = messages.SignatureDefMap()
    signatures.signature_def.get_or_create("s").CopyFrom(signature)
    response.metadata.get_or_create("signature_def").Pack(signatures)
    return encode_metadata(response)


def test_metadata_layout():
    signature = messages.SignatureDef(method_name="tensorflow/serving/predict")
    info = signature.inputs.get_or_create("x")
    info.name, info.dtype = "x:0", messages.DT_FLOAT
    info.tensor_shape.dim.add(size=-1)
    assert metadata_of(signature) == (
        b'{\n"model_spec":{\n "name": "m",\n "version": "3",\n "signature_name": ""\n}\n,\n'
        b'"metadata": {"signature_def": {\n "signature_def": {\n  "s": {\n   "inputs": {\n    "x": {\n'
        b'     "name": "x:0",\n     "dtype": "DT_FLOAT",\n     "tensor_shape": {\n      "dim": [\n       {\n'
        b'        "size": "-1",\n        "name": ""\n       }\n      ],\n      "unknown_rank": false\n     }\n    }\n'
        b"   },\n"
        b'   "method_name": "tensorflow/serving/predict",\n   "outputs": {},\n   "defaults": {}\n  }\n }\n}\n}\n}\n'
    )


@pytest.mark.parametrize(
    ("dtype", "values"),
    [
        ("float", [1, 0.1, 1e20, np.nan, -np.inf]),
        ("double", [0.1, 1 / 3]),
        ("int8", [-1, 2]),
        ("int64", [-1, 2**53 + 1]),
        ("uint32", [2**32 - 1]),
        ("uint64", [2**64 - 1, 0]),
        ("bool", [True, False]),
        ("half", [1.5]),
        ("complex64", [1 + 2j]),
        ("string", [b"a", b"\xff"]),
    ],
)
@pytest.mark.parametrize("typed", [True, False])
def test_default_tensors_print_as_the_official_json(dtype, values, typed):
    row = BY_NAME[dtype]
    array = np.array(values, row.numpy)
    proto = tensors.encode(array, row, typed=typed)
    signature = messages.SignatureDef()
    signature.defaults.get_or_create("x").CopyFrom(proto)
    printed = json.loads(metadata_of(signature))["metadata"]["signature_def"]["signature_def"]["s"]["defaults"]["x"]
    official = type(tf.make_tensor_proto(0))
    expected = json_format.MessageToDict(
        official.FromString(proto.SerializeToString()),
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=True,
    )
    assert printed == expected
    assert list(printed)[:4] == ["dtype", "tensor_shape", "version_number", "tensor_content"]
    if dtype == "float" and typed:
        assert isinstance(printed["float_val"][0], int)
