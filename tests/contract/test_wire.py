"""Our descriptors against the official package, and the freshness of what was compiled from them."""

import subprocess
import sys

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pool import Default
from google.protobuf.message import Message
from tensorflow_serving.apis import model_service_pb2, prediction_log_pb2, prediction_service_pb2

from modelport.wire import compile as wire_compile
from modelport.wire import messages
from modelport.wire.services import METHODS

# Not in the official package: configuration protos that tensorflow_model_server reads but PyPI does not carry.
_UNPUBLISHED = {"BatchingParameters", "MonitoringConfig", "PrometheusConfig", "SSLConfig"}
_VARINT = {
    FieldDescriptor.TYPE_INT32,
    FieldDescriptor.TYPE_INT64,
    FieldDescriptor.TYPE_UINT32,
    FieldDescriptor.TYPE_UINT64,
    FieldDescriptor.TYPE_BOOL,
    FieldDescriptor.TYPE_ENUM,
}
_FIXED = {FieldDescriptor.TYPE_FLOAT: 5, FieldDescriptor.TYPE_FIXED32: 5, FieldDescriptor.TYPE_DOUBLE: 1}


def wire_type(field: FieldDescriptor) -> int:
    """The wire type of a field as it is written; packed fields are length-delimited."""
    if field.is_packed:
        return 2
    return 0 if field.type in _VARINT else _FIXED.get(field.type, 2)


def all_messages() -> list[Descriptor]:
    found: list[Descriptor] = []

    def add(descriptor: Descriptor) -> None:
        found.append(descriptor)
        for nested in descriptor.nested_types:
            add(nested)

    for name, value in vars(messages).items():
        is_message = isinstance(value, type) and issubclass(value, Message)
        if is_message and value.DESCRIPTOR.full_name.startswith("tensorflow.") and name not in _UNPUBLISHED:
            add(value.DESCRIPTOR)
    return found


@pytest.mark.parametrize("ours", all_messages(), ids=lambda d: d.full_name)
def test_every_field_is_the_official_one(ours):
    assert prediction_log_pb2  # its import registers the official messages in the default pool
    official = Default().FindMessageTypeByName(ours.full_name)
    for field in ours.fields:
        peer = official.fields_by_name[field.name]
        assert (field.number, field.is_repeated) == (peer.number, peer.is_repeated), field.full_name
        assert wire_type(field) == wire_type(peer), field.full_name
        same_oneof = field.containing_oneof and field.containing_oneof.name
        assert same_oneof == (peer.containing_oneof and peer.containing_oneof.name), field.full_name
        if field.message_type is not None and not field.message_type.GetOptions().map_entry:
            assert field.message_type.full_name == peer.message_type.full_name


@pytest.mark.parametrize("name", ["DataType", "ModelType", "Code", "State"])
def test_every_enum_value_is_the_official_one(name):
    full = {
        "DataType": "tensorflow.DataType",
        "ModelType": "tensorflow.serving.ModelType",
        "Code": "tensorflow.error.Code",
        "State": "tensorflow.serving.ModelVersionStatus.State",
    }[name]
    ours, official = (pool.FindEnumTypeByName(full) for pool in (messages.POOL, Default()))
    for value in ours.values:
        assert official.values_by_name[value.name].number == value.number


def test_the_services_are_the_official_ones():
    services = [
        prediction_service_pb2.DESCRIPTOR.services_by_name["PredictionService"],
        model_service_pb2.DESCRIPTOR.services_by_name["ModelService"],
    ]
    official = {
        f"/{service.full_name}/{method.name}": (method.input_type.full_name, method.output_type.full_name)
        for service in services
        for method in service.methods
    }
    ours = {m.path: (m.request.DESCRIPTOR.full_name, m.response.DESCRIPTOR.full_name) for m in METHODS.values()}
    assert ours == official


def test_the_committed_descriptors_are_fresh():
    assert wire_compile.check(), "wire/protos changed: run 'make protos' and commit what it writes"


def test_any_packs_and_unpacks():
    packed = messages.Any()
    packed.Pack(messages.SignatureDefMap(signature_def={"s": messages.SignatureDef(method_name="m")}))
    assert packed.type_url == "type.googleapis.com/tensorflow.serving.SignatureDefMap"
    signatures = messages.SignatureDefMap()
    assert packed.Unpack(signatures)
    assert signatures.signature_def["s"].method_name == "m"


@pytest.mark.slow
@pytest.mark.parametrize("order", ["tensorflow, modelport.wire.messages", "modelport.wire.messages, tensorflow"])
def test_both_live_in_one_process(order):
    code = f"import {order}; import tensorflow_serving.apis.predict_pb2"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120, capture_output=True)
