"""Requests that share runs, or do not, on a running server; most on a model whose runs wait until they are let go."""

import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest

from modelport.errors import DeadlineExceeded, InvalidArgument, ModelportError, ResourceExhausted, Unavailable, Unknown
from modelport.manifest import Manifest
from modelport.repository import Repository
from modelport_client import Client
from modelport_serving import AUTO, Options, Server
from tests.support import graphs
from tests.support.held import M, is_running, let_go, waiting
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow  # waits for batches


@contextmanager
def serving(base, batching="", **options):
    """A server of one model, `m`."""
    if batching:
        (base.parent / "batching.config").write_text(batching)
        options |= {"enable_batching": True, "batching_parameters_file": str(base.parent / "batching.config")}
    chosen = {
        "model_name": "m",
        "model_base_path": str(base),
        "port": AUTO,
        "rest_api_port": AUTO,
        "max_num_load_retries": 0,
        "run_threads": 1,
        **options,
    }
    with Server(Options(**chosen)) as server:
        yield server


@pytest.fixture(params=["grpc", "rest"])
def connect(request):
    """Make clients that do not try again, over each transport."""

    def connect(server, **options):
        target = server.grpc_address if request.param == "grpc" else server.rest_address
        return Client(target, **{"timeout": 60, "retry": False, **options})

    return connect


@pytest.fixture
def publish(tmp_path, gated_files):
    """Publish the model whose runs wait, with what was proven of it; None: without a manifest. Its base path."""

    def publish(row_independent):
        if row_independent is None:
            return shutil.copytree(gated_files, tmp_path / "m" / "1").parent
        repository = Repository(tmp_path)
        with repository.stage("m") as staging:
            shutil.copytree(gated_files, staging.path, dirs_exist_ok=True)
            staging.commit(Manifest(model="m", row_independent=row_independent, loop_free=row_independent))
        return repository.base_path("m")

    return publish


def ask(client, *values, **options):
    """The answer, or the error."""
    try:
        return client.predict("m", {"x": np.array(values, object)}, **options)
    except ModelportError as error:
        return error


def ask_behind_a_run(server, client, *requests):
    """Ask all while a run of another request is under way, then let all end; the answers or errors in order."""
    with ThreadPoolExecutor(len(requests) + 1) as pool:
        first = pool.submit(ask, client, b"0")
        eventually(lambda: is_running(server))
        asked = [pool.submit(ask, client, *values) for values in requests]
        eventually(lambda: waiting(server) == len(requests))
        let_go(server, 1 + 2 * len(requests))
        assert first.result(60)["y"].tolist() == [0]
        return [future.result(60) for future in asked]


NUMBERS = [[b"%d" % number] for number in range(1, 9)]


@pytest.mark.parametrize(
    ("row_independent", "join_requests", "shared"),
    [
        (("serving_default",), "proven", True),
        (("serving_default",), "none", False),
        (("free",), "proven", False),
        ((), "proven", False),
        (None, "proven", False),
        (None, "all", True),
        (None, "none", False),
    ],
)
def test_who_shares_runs(publish, connect, row_independent, join_requests, shared):
    """What the publisher proved, or the operator said; a foreign version's requests never meet unasked."""
    with serving(publish(row_independent), join_requests=join_requests) as server, connect(server) as client:
        answers = ask_behind_a_run(server, client, *NUMBERS)
        assert [answer["y"].tolist() for answer in answers] == [[number] for number in range(1, 9)]
        assert [answer["company"].item() for answer in answers] == [8 if shared else 1] * 8


@pytest.mark.parametrize("batching", ["", "max_batch_size { value: 64 } num_batch_threads { value: 1 }"])
def test_bytes_that_are_no_text_fail_their_own_request_alone(publish, connect, batching):
    """7,929 of 10,230 good requests failed with one whose kernel error quoted bytes that are no UTF-8."""
    base = publish(("serving_default",))
    with serving(base, batching) as server, connect(server) as client:
        found = ask_behind_a_run(server, client, [b"1"], [b"\xff\xfe"], [b"2"], [b"odd"], [b"3"])
        assert [found[index]["y"].tolist() for index in (0, 2, 4)] == [[1], [2], [3]]
        assert all(isinstance(found[index], InvalidArgument) for index in (1, 3)), found
        assert "could not correctly convert string" in found[1].message


def test_too_many_waiting_requests_are_refused_at_once(publish, connect):
    with (
        serving(publish(None), max_waiting_requests=2) as server,
        connect(server) as client,
        ThreadPoolExecutor(3) as pool,
    ):
        first = pool.submit(ask, client, b"0")
        eventually(lambda: is_running(server))
        others = [pool.submit(ask, client, b"1") for _ in range(2)]
        eventually(lambda: waiting(server) == 2)
        refused = ask(client, b"2")
        assert isinstance(refused, (ResourceExhausted, Unavailable)), "over REST it is 503, with Retry-After"
        assert "--max_waiting_requests is 2" in refused.message
        let_go(server, 3)
        assert [future.result(60)["y"].item() for future in (first, *others)] == [0, 1, 1]


def test_a_full_batch_queue_refuses(publish, connect):
    parameters = "max_batch_size { value: 1 } max_enqueued_batches { value: 2 } num_batch_threads { value: 1 }"
    with serving(publish(None), parameters) as server, connect(server) as client, ThreadPoolExecutor(3) as pool:
        first = pool.submit(ask, client, b"0")
        eventually(lambda: is_running(server))
        others = [pool.submit(ask, client, b"1") for _ in range(2)]
        eventually(lambda: waiting(server) == 2)
        refused = ask(client, b"2")
        assert isinstance(refused, Unavailable)
        assert "max_enqueued_batches is 2" in refused.message
        let_go(server, 3)
        assert [future.result(60)["y"].item() for future in (first, *others)] == [0, 1, 1]


def test_a_deadline_is_met_while_a_request_waits(publish, connect):
    with serving(publish(None), rest_api_timeout_in_ms=600) as server, connect(server) as client:
        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(ask, client, b"0", timeout=30)
            eventually(lambda: is_running(server))
            late = ask(client, b"1", timeout=0.2)
            assert isinstance(late, DeadlineExceeded)
            eventually(lambda: waiting(server) == 0)
            let_go(server, 1)
            first.result(60)
        let_go(server, 1)
        assert ask(client, b"2")["y"].item() == 2, "the late one took no token: it was never run"


@pytest.mark.parametrize("rank", [1, 6, 7])
def test_padding_knows_tensors_of_up_to_six_dimensions(tmp_path, rank):
    """As in the real server, which refuses seven where it pads."""
    graphs.save(tmp_path / "m" / "1", graphs.identities)
    shape = (1,) * rank
    with (
        serving(tmp_path / "m", "pad_variable_length_inputs: true max_batch_size { value: 8 }") as server,
        Client(server.grpc_address) as client,
    ):
        given = {"x": np.ones(shape, np.float32)}
        if rank > 6:
            with pytest.raises(InvalidArgument, match="Only tensors with rank from 1 to 6 can be padded"):
                client.predict("m", given, signature="float")
        else:
            assert client.predict("m", given, signature="float")["y"].shape == shape


def test_a_request_without_rows_is_answered(tmp_path, add_version):
    base = add_version(tmp_path / "m", 1, "affine-2").parent
    parameters = "max_batch_size { value: 8 } batch_timeout_micros { value: 0 } allowed_batch_sizes: 8"
    with serving(base, parameters) as server, Client(server.grpc_address) as client:
        assert client.predict("m", {"x": np.float32([])})["y"].tolist() == []
        assert client.predict("m", {"x": np.float32([2, 4, 6])})["y"].tolist() == [3, 4, 5], "padded to 8, and cut"
        with pytest.raises(InvalidArgument, match="Task size 9 is larger than maximum input batch size 8"):
            client.predict("m", {"x": np.zeros(9, np.float32)})


@pytest.mark.parametrize("words", ["allowed_batch_sizes: 2", "max_batch_size { value: -1 }"])
def test_parameters_are_checked_when_a_model_is_loaded(tmp_path, add_version, words):
    base = add_version(tmp_path / "m", 1, "affine-2").parent
    with (
        pytest.raises(Unknown, match=r"1 servable\(s\) did not become available: .* INVALID_ARGUMENT: "),
        serving(base, words),
    ):
        pass


def test_a_model_that_keeps_state_and_one_that_mixes_rows_are_run_for_each_request(tmp_path, add_version):
    """The server found out by runs on altered inputs; now nothing foreign is merged, and nothing made up is run."""
    for model, expected in [("row_counter", range(1, 17)), ("centred", [0] * 16)]:
        base = add_version(tmp_path / model / "m", 1, model).parent
        with serving(base) as server, Client(server.grpc_address, timeout=60) as client:
            gate = threading.Barrier(16)

            def ask_together(number, client=client, gate=gate):
                gate.wait(30)
                (answer,) = client.predict("m", {"x": np.float32([number])}).values()
                return answer.item()

            with ThreadPoolExecutor(16) as pool:
                assert sorted(pool.map(ask_together, range(16))) == list(expected)


def test_a_stop_does_not_wait_for_a_run_without_end(publish):
    with (
        serving(publish(None), grace_seconds=0.2) as server,
        Client(server.grpc_address, retry=False) as client,
        ThreadPoolExecutor(3) as pool,
    ):
        first = pool.submit(ask, client, b"0")
        eventually(lambda: is_running(server))
        asked = [first, *(pool.submit(ask, client, b"1") for _ in range(2))]
        eventually(lambda: waiting(server) == 2)
        with server.core.handle(M) as servable:
            signature = servable.signatures["go"]
            assert server.stop() is False, "a run was left behind, and that is said"
            assert all(isinstance(future.result(60), ModelportError) for future in asked)
            tokens = {signature.inputs["tokens"].tensor: np.zeros(3, np.int32)}
            servable.run(tokens, [signature.outputs["sent"].tensor])
