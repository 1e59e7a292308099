"""The wire of the gRPC port, on both implementations: whatever a client sends, it gets one answer, its own."""

import gc
import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import numpy as np
import pytest

from modelport.wire import messages
from modelport_client import Client
from tests.support.grpc_calls import PREDICT, STATUS, code_of, numbers, predict
from tests.support.waiting import eventually

Code = grpc.StatusCode


def refused(call, *arguments, **named) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as caught:
        call(*arguments, **{"timeout": 20, **named})
    return caught.value


@pytest.mark.parametrize("timeout", [None, 30, 10.0**8])
def test_any_deadline_and_none(channel, timeout):
    answer, call = channel.unary_unary(PREDICT).with_call(predict("affine-2", x=[2.0]), timeout=timeout)
    assert numbers(answer) == {"y": [3.0]}
    assert call.code() is Code.OK


def test_a_deadline_that_passes(channel):
    error = refused(channel.unary_unary(PREDICT), predict("slow", seconds=20.0), timeout=0.3)
    assert error.code() is Code.DEADLINE_EXCEEDED
    assert numbers(channel.unary_unary(PREDICT)(predict("affine-2", x=[2.0]), timeout=20)) == {"y": [3.0]}


def test_a_call_without_a_message(channel):
    error = refused(channel.stream_unary(PREDICT), iter(()))
    assert error.code() is Code.UNIMPLEMENTED
    assert error.details() == f"{PREDICT} requires exactly one request message."


def test_of_several_messages_the_first_counts(channel):
    """As in the real server, which reads one."""
    sent = iter([predict("affine-2", x=[2.0]), predict("affine-2", x=[4.0]), b"\xff"])
    assert numbers(channel.stream_unary(PREDICT)(sent, timeout=20)) == {"y": [3.0]}


def test_a_client_that_has_asked_and_says_no_more_is_answered(channel):
    """It sent its message, and did not close its side."""
    open_end = threading.Event()

    def one_message():
        yield predict("affine-2", x=[2.0])
        open_end.wait(60)

    assert numbers(channel.stream_unary(PREDICT)(one_message(), timeout=20)) == {"y": [3.0]}
    open_end.set()


@pytest.mark.parametrize(
    "path", ["/tensorflow.serving.PredictionService/Guess", "/nobody/Predict", "/", "/tensorflow.serving/Predict"]
)
def test_methods_that_are_not_there(channel, path):
    assert refused(channel.unary_unary(path), b"").code() is Code.UNIMPLEMENTED


@pytest.mark.parametrize("data", [b"\xff", b"\x0a\xff\xff\xff\xff\x0f", b"\x12\x05ab"])
def test_malformed_bytes_are_refused_without_a_word_as_the_real_server_does(channel, data):
    error = refused(channel.unary_unary(PREDICT), data)
    assert (error.code(), error.details()) == (Code.INTERNAL, "")


def test_no_bytes_at_all_are_a_request_without_a_model(channel):
    error = refused(channel.unary_unary(PREDICT), b"")
    assert (error.code(), error.details()) == (Code.INVALID_ARGUMENT, "Missing ModelSpec")


def test_messages_of_any_size(channel):
    """gRPC's own bound is 4 MiB."""
    x = np.arange(6_000_000, dtype=np.float32)
    answer = channel.unary_unary(PREDICT)(predict("affine-2", x=x), timeout=60)
    outputs = messages.PredictResponse.FromString(answer).outputs
    assert np.frombuffer(b"".join(outputs["y"].float_val), np.float32).tolist() == (x / 2 + 2).tolist()


@pytest.mark.parametrize("compression", [grpc.Compression.Gzip, grpc.Compression.Deflate])
def test_compressed_messages(channel, compression):
    ask = channel.unary_unary(PREDICT)
    assert numbers(ask(predict("affine-2", x=[2.0] * 999), timeout=20, compression=compression))["y"] == [3.0] * 999


@pytest.mark.parametrize("letter", ["x", "é", "語"])
def test_a_long_error_is_cut_where_the_real_server_cuts_it(channel, letter):
    error = refused(channel.unary_unary(PREDICT), predict("affine-2", outputs=(letter * 2000,), x=[1.0]))
    assert error.code() is Code.INVALID_ARGUMENT
    kept, mark, rest = error.details().partition("...TRUNCATED")
    assert (mark, rest) == ("...TRUNCATED", "")
    assert kept.startswith(f"output tensor alias not found in signature: {letter}")
    assert 1024 - 3 < len(kept.encode()) <= 1024, "in bytes, and between two characters"


def test_a_short_error_is_whole(channel):
    error = refused(channel.unary_unary(PREDICT), predict("nobody", x=[1.0]))
    assert (error.code(), error.details()) == (Code.NOT_FOUND, "Servable not found for request: Latest(nobody)")


def request_id(channel, sent, *, fails=False):
    call = channel.unary_unary(STATUS)
    asked = messages.GetModelStatusRequest(model_spec=messages.ModelSpec(name="nobody" if fails else "affine-2"))
    metadata = [("x-request-id", value) for value in sent]
    future = call.future(asked.SerializeToString(), timeout=20, metadata=metadata)
    assert code_of(future) is (Code.NOT_FOUND if fails else Code.OK)
    return dict(future.trailing_metadata())["x-request-id"]


@pytest.mark.parametrize("fails", [False, True])
def test_request_ids_come_back_and_are_logged(served, channel, fails):
    assert request_id(channel, ["abc 1"], fails=fails) == "abc 1"
    assert re.fullmatch("[0-9a-f]{32}", request_id(channel, [], fails=fails)), "one is made where none was sent"
    assert re.fullmatch("[0-9a-f]{32}", request_id(channel, [""], fails=fails))

    def logged():
        with Path(served.options.access_log).open() as file:
            lines = [json.loads(line) for line in file]
        return [line for line in lines if line["id"] == "abc 1" and (line["code"] != "OK") is fails]

    eventually(logged)
    (line, *_) = logged()
    assert (line["via"], line["path"]) == ("GRPC", STATUS)
    assert line["peer"].startswith(("ipv4:127.0.0.1:", "ipv6:"))


def test_metadata_of_any_kind_does_no_harm(channel):
    metadata = [
        ("x-any-bin", b"\xff\0"),
        ("x-twice", "a"),
        ("x-twice", "b"),
        ("x-request-id", "a"),
        ("grpc-trace-bin", b"1"),
    ]
    assert numbers(channel.unary_unary(PREDICT)(predict("affine-2", x=[2.0]), timeout=20, metadata=metadata))


def test_many_at_once_are_each_given_their_own_answer(served):
    with Client(served.grpc_address, timeout=60) as client:

        def ask(first):
            wrong = []
            for x in range(first, first + 50):
                got = client.predict("affine-2", {"x": np.float32([x])})["y"].tolist()
                wrong += [] if got == [0.5 * x + 2.0] else [(x, got)]
            return wrong

        with ThreadPoolExecutor(24) as pool:
            assert list(pool.map(ask, range(0, 24_000, 1000))) == [[]] * 24


def test_calls_that_never_send_their_message_hold_up_nobody(served, channel):
    never = threading.Event()

    def nothing():
        never.wait(60)
        yield from ()

    calls = [channel.stream_unary(PREDICT).future(nothing()) for _ in range(60)]
    for _ in range(50):
        assert numbers(channel.unary_unary(PREDICT)(predict("affine-2", x=[2.0]), timeout=20)) == {"y": [3.0]}
    for call in calls:
        call.cancel()
    never.set()
    assert numbers(channel.unary_unary(PREDICT)(predict("affine-2", x=[2.0]), timeout=20)) == {"y": [3.0]}


def test_the_unix_socket_answers_too(served):
    with grpc.insecure_channel(f"unix:{served.options.grpc_socket_path}") as channel:
        assert numbers(channel.unary_unary(PREDICT)(predict("affine-2", x=[2.0]), timeout=20)) == {"y": [3.0]}


def test_calls_leave_nothing_behind(served, channel):
    """Of answers, errors, cancellations and deadlines."""
    ask = channel.unary_unary(PREDICT)

    def calls_alive():
        gc.collect()
        return sum(type(one).__name__ in ("CoreCall", "AioCall") for one in gc.get_objects())

    for _ in range(50):
        ask(predict("affine-2", x=[2.0]), timeout=20)
        refused(ask, predict("nobody"))
        ask.future(predict("affine-2", x=[2.0])).cancel()
    eventually(lambda: calls_alive() <= 2)


@pytest.mark.slow
def test_a_burst_of_one_client_cancels_nobody(served):
    """In a burst of 6,000 calls 1,766 of other clients' calls were CANCELLED by gRPC's core."""
    own = [("grpc.use_local_subchannel_pool", 1)]
    x = predict("affine-2", x=[2.0] * 5000)
    with (
        grpc.insecure_channel(served.grpc_address, options=own) as greedy,
        grpc.insecure_channel(served.grpc_address, options=own) as other,
        ThreadPoolExecutor(1) as pool,
    ):
        other.unary_unary(PREDICT)(x, timeout=60)
        burst = pool.submit(lambda: [greedy.unary_unary(PREDICT).future(x, timeout=120) for _ in range(6000)])
        others = []
        while not burst.done():
            others += [other.unary_unary(PREDICT).future(x, timeout=120) for _ in range(20)]
            others[-1].exception(120)
        ended = {code_of(call) for call in others}, {code_of(call) for call in burst.result()}
        assert all(Code.OK in codes and codes <= {Code.OK, Code.RESOURCE_EXHAUSTED} for codes in ended)
