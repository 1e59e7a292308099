"""Our own HTTP/2 client against real servers: it says what gRPC's own package says."""

import threading

import grpc
import numpy as np
import pytest

from modelport import tensors
from modelport.errors import Code
from modelport.wire import messages
from modelport.wire.services import METHODS, stub
from modelport_client.loadtest.generator.frames import Broken, HeaderReader, block_of, settings_of, without_padding
from modelport_client.loadtest.generator.senders import is_plain, version_of
from modelport_client.loadtest.plan import GRPC, Plan, Samples
from modelport_client.loadtest.profile import Piece
from tests.support.answering_server import AnsweringServer, answer

RATE = 20


def request(model: str, **inputs) -> messages.PredictRequest:
    asked = messages.PredictRequest(model_spec=messages.ModelSpec(name=model))
    for name, array in inputs.items():
        asked.inputs[name].CopyFrom(tensors.encode(array))
    return asked


def plan(target: str, *requests: messages.PredictRequest, **more) -> Plan:
    bodies = tuple(one.SerializeToString() for one in requests)
    samples = Samples(GRPC, METHODS["Predict"].path, bodies, "the test")
    return Plan(target, samples, (Piece(RATE, RATE, 0.5),), "steady", **more)


ONE_ROW = np.ones(1, np.float32)


@pytest.mark.parametrize(
    "asked",
    [
        request("affine", x=ONE_ROW),
        request("nobody", x=ONE_ROW),
        request("affine", z=ONE_ROW),
        request("affine", x=np.ones(1, np.int64)),
        request("matrix", x=np.ones((1, 7), np.float32)),
        request("affine", x=np.ones(2_000_000, np.float32)),
    ],
    ids=["ok", "no model", "no input", "dtype", "shape", "8 MB each way"],
)
def test_it_ends_as_grpc_ends(server, run, asked):
    own = run(plan(server.grpc_address, asked))
    theirs = run(plan(f"ipv4:{server.grpc_address}", asked))
    assert own.cost.sender == "HTTP/2 of its own"
    assert theirs.cost.sender == "grpc.aio"
    assert own.errors == theirs.errors
    assert own.answered_by == theirs.answered_by
    assert own.requests == theirs.requests == 10
    with grpc.insecure_channel(server.grpc_address, options=[("grpc.max_receive_message_length", -1)]) as channel:
        call = stub(channel, "Predict").future(asked, timeout=10)
        told = [] if call.code() is grpc.StatusCode.OK else [(call.code().name, call.details())]
        assert [(one.code, one.message) for one in own.errors] == told


def test_samples_take_turns_over_several_connections(server, run):
    good, bad = request("affine", x=ONE_ROW), request("affine", z=ONE_ROW)
    result = run(plan(server.grpc_address, good, bad, connections=3))
    assert (result.failed, result.answered_by) == (5, {1: 5})


def test_large_requests_through_small_windows(run):
    """Many megabytes under way at a time, through the windows that a peer opens bit by bit."""
    sizes = []

    def respond(asked, context):
        sizes.append(len(asked.inputs["x"].tensor_content))
        return answer()

    with AnsweringServer(respond, workers=8) as server:
        asked = request("tiny")
        asked.inputs["x"].tensor_content = bytes(3_000_000)
        result = run(plan(server.address, asked, timeout_s=30))
    assert result.errors == []
    assert sizes == [3_000_000] * 10


def test_a_connection_that_is_lost_fails_the_calls_on_it_and_no_others(run):
    held = threading.Event()

    def respond(asked, context):
        held.wait(10)
        return answer()

    with AnsweringServer(respond, workers=100) as server:
        threading.Timer(0.8, server.__exit__).start()
        threading.Timer(1.2, held.set).start()
        result = run(plan(server.address, request("tiny"), timeout_s=5))
    assert result.failed == result.requests
    assert {error.code for error in result.errors} == {"UNAVAILABLE"}


def test_the_rest_port_is_told(server, run):
    with pytest.raises(ConnectionError, match="is this the REST port"):
        run(plan(server.rest_address.removeprefix("http://"), request("affine", x=ONE_ROW)))


def test_versions_are_read_without_the_outputs():
    response = answer(3)
    response.outputs["y"].CopyFrom(tensors.encode(np.ones(100, np.float32)))
    assert version_of(response.SerializeToString()) == 3
    assert version_of(messages.PredictResponse().SerializeToString()) is None
    parts = [messages.PredictResponse(model_spec=messages.ModelSpec(name="a")), answer(4)]
    assert version_of(b"".join(part.SerializeToString() for part in parts)) == 4, "a message in parts is their sum"
    for broken in (b"\x12\x7f", b"\x12", b"\x12\xff", b"\x0a\x05ab"):
        with pytest.raises(ValueError, match="ends too soon"):
            version_of(broken)


def test_header_blocks():
    reader = HeaderReader()
    long = "x" * 300
    block = block_of([("grpc-status", "0"), ("grpc-message", long)])
    assert reader.read(b"\x20" + block) == {b"grpc-status": b"0", b"grpc-message": long.encode()}
    assert reader.read(block) is reader.read(block)
    with pytest.raises(Broken, match="cannot be read"):
        reader.read(b"\xbe")  # the first entry of a table that there is not
    assert without_padding(b"\x02abcd\0\0", 0x8, False) == b"abcd"
    assert settings_of(b"\0\x03\0\0\0\x64") == {3: 100}


@pytest.mark.parametrize(
    ("target", "plain"),
    [
        ("localhost:8500", True),
        ("127.0.0.1:1", True),
        ("[::1]:8500", True),
        ("dns:///serving:8500", False),
        ("unix:/tmp/socket", False),
        ("ipv4:127.0.0.1:8500,127.0.0.2:8500", False),
        ("serving", False),
    ],
)
def test_which_targets_need_grpc(target, plain):
    assert is_plain(target) is plain


def test_codes_are_canonical(run):
    """All codes come through, those without a meaning of their own included."""
    turn = iter(range(1, 10**6))
    codes = [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK]

    def respond(asked, context):
        context.abort(codes[next(turn) % len(codes)], "why")

    with AnsweringServer(respond) as server:
        result = run(Plan(server.address, plan("", request("tiny")).samples, (Piece(160, 160, 1),), "steady"))
    told = {error.code: error.message for error in result.errors}
    closed = told.pop("UNAVAILABLE")  # what a server cancels that we did not, too
    assert told == {code.name: "why" for code in Code if code not in (Code.OK, Code.CANCELLED, Code.UNAVAILABLE)}
    assert "why" in closed
