"""Health and reflection beside the API, on both implementations of the port."""

import threading

import grpc
import pytest
from google.protobuf import descriptor_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from tests.support.grpc_calls import PREDICT, predict

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
Field = descriptor_pb2.FieldDescriptorProto


@pytest.fixture
def health(channel):
    return health_pb2_grpc.HealthStub(channel)


def check(stub, service=""):
    return stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=20).status


def reflect(channel, *questions):
    requests = [reflection_pb2.ServerReflectionRequest(**question) for question in questions]
    ask = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo
    return list(ask(iter(requests), timeout=20))


@pytest.mark.parametrize("service", ["", "ModelService", "PredictionService"])
def test_the_names_that_the_real_server_knows(health, service):
    assert check(health, service) == SERVING


@pytest.mark.parametrize("service", ["tensorflow", "tensorflow.serving.PredictionService"])
def test_a_name_that_is_not_known(health, service):
    with pytest.raises(grpc.RpcError) as unknown:
        check(health, service)
    assert (unknown.value.code(), unknown.value.details()) == (grpc.StatusCode.NOT_FOUND, "service name unknown")


def test_services_are_listed(channel):
    (answer,) = reflect(channel, {"list_services": ""})
    listed = {service.name for service in answer.list_services_response.service}
    assert {"tensorflow.serving.PredictionService", "tensorflow.serving.ModelService"} <= listed


def test_messages_are_described_as_tensorflow_declares_them(channel):
    """Our own descriptors call the packed fields bytes: a client that is generated from them must see numbers."""
    (answer,) = reflect(channel, {"file_containing_symbol": "tensorflow.TensorProto"})
    files = map(descriptor_pb2.FileDescriptorProto.FromString, answer.file_descriptor_response.file_descriptor_proto)
    types = {f.name: f.type for file in files for m in file.message_type if m.name == "TensorProto" for f in m.field}
    assert types["float_val"] == Field.TYPE_FLOAT
    assert types["half_val"] == types["int_val"] == Field.TYPE_INT32
    assert types["tensor_content"] == types["string_val"] == Field.TYPE_BYTES
    (answer,) = reflect(channel, {"file_containing_symbol": "tensorflow.Nobody"})
    assert answer.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]


def test_both_can_be_closed(start):
    server = start("affine-2", enable_reflection=False)
    with grpc.insecure_channel(server.grpc_address) as channel:
        for ask in (
            lambda: check(health_pb2_grpc.HealthStub(channel)),
            lambda: reflect(channel, {"list_services": ""}),
        ):
            with pytest.raises(grpc.RpcError) as closed:
                ask()
            assert closed.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_health_is_told_while_reflection_is_held_open_and_a_stop_ends_all(start):
    """40 streams of reflection held all threads that health had."""
    server = start("affine-2", enable_grpc_healthcheck_service=True)
    done = threading.Event()

    def one_question():
        yield reflection_pb2.ServerReflectionRequest(list_services="")
        done.wait(60)

    with grpc.insecure_channel(server.grpc_address) as channel:
        ask = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo
        streams = [ask(one_question()) for _ in range(40)]
        next(streams[0])
        health = health_pb2_grpc.HealthStub(channel)
        watch = health.Watch(health_pb2.HealthCheckRequest(service="PredictionService"), timeout=60)
        assert next(watch).status == SERVING
        assert check(health) == SERVING
        channel.unary_unary(PREDICT)(predict("affine-2", x=[2.0]), timeout=20)
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        assert next(watch).status == NOT_SERVING
        stopping.join(30)
        assert not stopping.is_alive()
        done.set()
