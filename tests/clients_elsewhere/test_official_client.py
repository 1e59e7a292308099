"""`tensorflow-serving-api` and the documentation's own calls: the code that people have, against our server."""

import json
import time
import urllib.error
import urllib.request

import grpc
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

NAME = "half_plus_two"


@pytest.fixture(scope="module")
def channel(elsewhere):
    with grpc.insecure_channel(elsewhere.grpc_address) as connected:
        yield connected


@pytest.fixture(scope="module")
def prediction(channel):
    return prediction_service_pb2_grpc.PredictionServiceStub(channel)


@pytest.fixture(scope="module")
def management(channel):
    return model_service_pb2_grpc.ModelServiceStub(channel)


def example(x: float) -> tf.train.Example:
    return tf.train.Example(features=tf.train.Features(feature={"x": tf.train.Feature(float_list={"value": [x]})}))


def test_predict(prediction):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = NAME
    request.model_spec.signature_name = "serving_default"
    request.inputs["x"].CopyFrom(tf.make_tensor_proto([1.0, 2.0, 5.0], shape=[3]))
    response = prediction.Predict(request, 10.0)
    assert list(response.outputs["y"].float_val) == [2.5, 3.0, 4.5]
    assert tf.make_ndarray(response.outputs["y"]).tolist() == [2.5, 3.0, 4.5]
    assert response.model_spec.version.value == 2


def test_classify(prediction):
    request = classification_pb2.ClassificationRequest()
    request.model_spec.name, request.model_spec.signature_name = NAME, "classify_x_to_y"
    request.input.example_list.examples.extend([example(1.0), example(5.0)])
    found = prediction.Classify(request, 10.0).result.classifications
    assert [[(entry.label, entry.score) for entry in row.classes] for row in found] == [[("", 2.5)], [("", 4.5)]]


def test_regress(prediction):
    request = regression_pb2.RegressionRequest()
    request.model_spec.name, request.model_spec.signature_name = NAME, "regress_x_to_y"
    request.input.example_list.examples.extend([example(1.0), example(2.0)])
    assert [found.value for found in prediction.Regress(request, 10.0).result.regressions] == [2.5, 3.0]


def test_metadata(prediction):
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = NAME
    response = prediction.GetModelMetadata(request, 10.0)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(signatures)
    info = signatures.signature_def["serving_default"].inputs["x"]
    assert info.dtype == tf.float32.as_datatype_enum
    assert [dim.size for dim in info.tensor_shape.dim] == [-1]


def test_status(management):
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = NAME
    (status,) = management.GetModelStatus(request, 10.0).model_version_status
    assert (status.version, status.state) == (2, get_model_status_pb2.ModelVersionStatus.AVAILABLE)


def test_errors_have_the_real_servers_codes_and_texts(prediction):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "another"
    with pytest.raises(grpc.RpcError) as caught:
        prediction.Predict(request, 10.0)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert "Servable not found for request: Latest(another)" in caught.value.details()


@pytest.mark.parametrize(
    ("path", "body", "answer"),
    [
        (":predict", '{"instances": [1.0, 2.0, 5.0]}', {"predictions": [2.5, 3.0, 4.5]}),
        ("/versions/2:predict", '{"inputs": {"x": [1.0, 2.0, 5.0]}}', {"outputs": [2.5, 3.0, 4.5]}),
        (
            ":regress",
            '{"signature_name": "regress_x_to_y", "examples": [{"x": 1.0}, {"x": 2.0}]}',
            {"results": [2.5, 3.0]},
        ),
        (":classify", '{"signature_name": "classify_x_to_y", "examples": [{"x": 5.0}]}', {"results": [[["", 4.5]]]}),
    ],
)
def test_rest_as_in_the_documentation(elsewhere, path, body, answer):
    """`curl -d '{"instances": [1.0, 2.0, 5.0]}' …`: curl's and urllib's content type is that of a form."""
    url = f"{elsewhere.rest_address}/v1/models/{NAME}{path}"
    with urllib.request.urlopen(url, body.encode(), timeout=10) as response:
        assert response.headers["Content-Type"] == "application/json"
        assert json.load(response) == answer


def test_rest_errors_as_urllib_sees_them(elsewhere):
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{elsewhere.rest_address}/v1/models/another:predict", b'{"instances": [1]}', timeout=10)
    with caught.value as error:
        assert error.code == 404
        assert "Servable not found for request: Latest(another)" in json.load(error)["error"]


def test_reload_brings_a_model_and_its_old_version(prediction, management, half_plus_two_files):
    """Last in the file: it replaces the configuration. Both versions under labels, and a second name."""
    request = model_management_pb2.ReloadConfigRequest()
    for name in (NAME, "second"):
        config = request.config.model_config_list.config.add()
        config.name, config.base_path, config.model_platform = name, str(half_plus_two_files), "tensorflow"
        config.model_version_policy.specific.versions.extend([1, 2])
    response = management.HandleReloadConfigRequest(request, 60.0)
    assert response.status.error_code == 0
    ask = predict_pb2.PredictRequest()
    ask.inputs["x"].CopyFrom(tf.make_tensor_proto([1.0]))
    ask.model_spec.name = "second"
    assert prediction.Predict(ask, 10.0).outputs["y"].float_val[0] == 2.5
    ask.model_spec.version.value = 1
    deadline = time.monotonic() + 30
    while True:  # new models are awaited by the call, further versions are not
        try:
            assert prediction.Predict(ask, 10.0).model_spec.version.value == 1
            break
        except grpc.RpcError as error:
            assert error.code() is grpc.StatusCode.NOT_FOUND, error.details()  # noqa: PT017
            assert time.monotonic() < deadline
            time.sleep(0.1)
