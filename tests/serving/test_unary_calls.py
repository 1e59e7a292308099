"""The gRPC port below the API: calls as gRPC's core hands them out, and the library's own services beside them."""

import threading
import time

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from modelport import tensors
from modelport.wire import messages
from modelport.wire.services import METHODS
from modelport_client import Client
from modelport_serving import AUTO, Options, Server

PREDICT = METHODS["Predict"].path
SERVING = health_pb2.HealthCheckResponse.SERVING


@pytest.fixture
def channel(server):
    with grpc.insecure_channel(server.grpc_address) as opened:
        yield opened


def request(model="affine", **inputs):
    message = messages.PredictRequest(model_spec=messages.ModelSpec(name=model))
    for name, value in inputs.items():
        message.inputs[name].CopyFrom(tensors.encode(np.float32(value)))
    return message.SerializeToString()


@pytest.mark.parametrize("timeout", [None, 30, 10.0**8])
def test_any_deadline_and_none(channel, timeout):
    answer, call = channel.unary_unary(PREDICT).with_call(request("slow", seconds=0.01), timeout=timeout)
    assert "done" in messages.PredictResponse.FromString(answer).outputs
    assert call.code() is grpc.StatusCode.OK


def test_a_call_without_a_message(channel):
    with pytest.raises(grpc.RpcError) as refused:
        channel.stream_unary(PREDICT)(iter(()), timeout=10)
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert "requires exactly one request message" in refused.value.details()


def test_a_method_that_is_not_there(channel):
    with pytest.raises(grpc.RpcError) as refused:
        channel.unary_unary("/tensorflow.serving.PredictionService/Guess")(b"", timeout=10)
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_many_at_once_are_each_given_their_own_answer(server):
    with Client(server.grpc_address, timeout=60) as client:
        wrong = []

        def ask(first):
            for x in range(first, first + 50):
                got = client.predict("affine", {"x": np.float32([x])})
                if not any(array.tolist() == [0.5 * x + 2.0] for array in got.values()):
                    wrong.append((x, got))

        threads = [threading.Thread(target=ask, args=(1000 * n,)) for n in range(24)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not wrong


def test_a_cancelled_call_gives_its_place_back(tmp_path, add_version):
    add_version(tmp_path / "slow", 1, "slow")
    options = Options(
        model_name="slow", model_base_path=str(tmp_path / "slow"), port=AUTO, run_threads=1, max_waiting_requests=1
    )
    with Server(options) as server, grpc.insecure_channel(server.grpc_address) as channel:
        ask = channel.unary_unary(PREDICT)
        busy = ask.future(request("slow", seconds=1.5), timeout=30)
        time.sleep(0.3)
        waits = ask.future(request("slow", seconds=0.01), timeout=30)
        time.sleep(0.3)
        with pytest.raises(grpc.RpcError) as full:
            ask(request("slow", seconds=0.01), timeout=30)
        assert full.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        waits.cancel()
        time.sleep(0.3)  # to be told of it, and to look what is lost
        ask(request("slow", seconds=0.01), timeout=30)
        busy.result()


@pytest.mark.slow
def test_a_stop_without_grace_ends_what_is_under_way(tmp_path, add_version):
    add_version(tmp_path / "slow", 1, "slow")
    options = Options(model_name="slow", model_base_path=str(tmp_path / "slow"), port=AUTO, grace_seconds=0.001)
    for _ in range(3):
        with Server(options) as server, grpc.insecure_channel(server.grpc_address) as channel:
            ask = channel.unary_unary(PREDICT)
            ask(request("slow", seconds=0.0), timeout=10)
            asked = [ask.future(request("slow", seconds=1.0), timeout=10) for _ in range(8)]
            time.sleep(0.01)  # they have come, and are not watched yet
            server.stop()
            assert all(isinstance(call.exception(), grpc.RpcError) for call in asked)


def test_health_is_told_while_reflection_is_held_open(tmp_path, add_version):
    add_version(tmp_path / "slow", 1, "slow")
    options = Options(
        model_name="slow",
        model_base_path=str(tmp_path / "slow"),
        port=AUTO,
        enable_reflection=True,
        enable_grpc_healthcheck_service=True,
    )
    done = threading.Event()

    def one_question():
        yield reflection_pb2.ServerReflectionRequest(list_services="")
        done.wait(60)

    with Server(options) as server, grpc.insecure_channel(server.grpc_address) as channel:
        ask = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo
        streams = [ask(one_question()) for _ in range(40)]
        listed = {service.name for service in next(streams[0]).list_services_response.service}
        assert {"tensorflow.serving.PredictionService", "tensorflow.serving.ModelService"} <= listed
        health = health_pb2_grpc.HealthStub(channel)
        watch = health.Watch(health_pb2.HealthCheckRequest(service="PredictionService"), timeout=30)
        assert next(watch).status == SERVING
        assert health.Check(health_pb2.HealthCheckRequest(), timeout=10).status == SERVING
        with pytest.raises(grpc.RpcError) as unknown:
            health.Check(health_pb2.HealthCheckRequest(service="tensorflow"), timeout=10)
        assert (unknown.value.code(), unknown.value.details()) == (grpc.StatusCode.NOT_FOUND, "service name unknown")
        begin = time.monotonic()
        server.stop()  # with all of that open
        assert time.monotonic() - begin < 20
        done.set()
