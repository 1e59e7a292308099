"""Who waits, who is refused and who goes, on both implementations of the gRPC port; on a model that the test holds."""

import contextlib
import shutil

import grpc
import numpy as np
import pytest

from modelport import tensors
from modelport.errors import NotFound
from modelport.wire import messages
from modelport_serving import AUTO, Options, Server
from tests.support import graphs
from tests.support.grpc_calls import PREDICT, code_of
from tests.support.held import M, is_running, let_go, waiting
from tests.support.waiting import eventually

Code = grpc.StatusCode


def text(value: bytes) -> bytes:
    request = messages.PredictRequest(model_spec=messages.ModelSpec(name="m"))
    request.inputs["x"].CopyFrom(tensors.encode(np.array([value], object)))
    return request.SerializeToString()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return graphs.save(tmp_path_factory.mktemp("files"), graphs.gated)


@pytest.fixture
def held(files, implementation, tmp_path):
    shutil.copytree(files, tmp_path / "m" / "1")
    options = Options(
        model_name="m",
        model_base_path=str(tmp_path / "m"),
        port=AUTO,
        run_threads=1,
        max_waiting_requests=1,
        grace_seconds=0.2,
        grpc_implementation=implementation,
    )
    with Server(options) as server:
        yield server
        with contextlib.suppress(NotFound):  # it was stopped by the test
            let_go(server, 100)


@pytest.fixture
def ask(held):
    with grpc.insecure_channel(held.grpc_address) as channel:
        yield channel.unary_unary(PREDICT).future


def one_runs_and_one_waits(held, ask):
    busy = ask(text(b"1"), timeout=60)
    eventually(lambda: is_running(held))
    waits = ask(text(b"2"), timeout=60)
    eventually(lambda: waiting(held) == 1)
    return busy, waits


def test_too_many_are_refused_and_not_cancelled(held, ask):
    busy, waits = one_runs_and_one_waits(held, ask)
    codes = {code_of(ask(text(b"3"), timeout=60)) for _ in range(50)}
    assert codes == {Code.RESOURCE_EXHAUSTED}
    let_go(held, 2)
    assert (code_of(busy), code_of(waits)) == (Code.OK, Code.OK)


def test_a_cancelled_call_gives_its_place_back(held, ask):
    busy, waits = one_runs_and_one_waits(held, ask)
    waits.cancel()
    eventually(lambda: waiting(held) == 0)
    again = ask(text(b"3"), timeout=60)
    eventually(lambda: waiting(held) == 1)
    let_go(held, 2)
    assert (code_of(busy), code_of(again)) == (Code.OK, Code.OK)


def test_a_client_that_goes_takes_its_waiting_calls_along(held, ask):
    with grpc.insecure_channel(held.grpc_address, [("grpc.use_local_subchannel_pool", 1)]) as other:
        first = ask(text(b"1"), timeout=60)
        eventually(lambda: is_running(held))
        gone = other.unary_unary(PREDICT).future(text(b"4"), timeout=60)
        eventually(lambda: waiting(held) == 1)
    assert gone.done()
    eventually(lambda: waiting(held) == 0)
    let_go(held, 1)
    assert code_of(first) is Code.OK


def test_a_deadline_gives_its_place_back(held, ask):
    busy, waits = one_runs_and_one_waits(held, ask)
    waits.cancel()
    eventually(lambda: waiting(held) == 0)
    assert code_of(ask(text(b"3"), timeout=0.2)) is Code.DEADLINE_EXCEEDED
    eventually(lambda: waiting(held) == 0)
    let_go(held, 1)
    assert code_of(busy) is Code.OK


@pytest.mark.slow
def test_a_stop_ends_what_does_not_end_itself(held, ask):
    """Without waiting for it: each call gets an answer, and the stop says that something was left behind."""
    calls = one_runs_and_one_waits(held, ask)
    with held.core.handle(M) as servable:
        assert held.stop() is False
        assert {code_of(call) for call in calls} <= {Code.CANCELLED, Code.UNAVAILABLE}
        signature = servable.signatures["go"]
        tokens = {signature.inputs["tokens"].tensor: np.zeros(2, np.int32)}
        servable.run(tokens, [signature.outputs["sent"].tensor])
