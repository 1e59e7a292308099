"""Stopping under load loses nothing, and clients of one port that take all there is do not shut out the other's.

`python -m tests.serving.test_listeners 20` stops a server so often, and says what its clients received.
"""

import collections
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import grpc
import numpy as np
import pytest

from modelport import tensors
from modelport.wire import messages
from tests.support import models
from tests.support.http_connection import HttpConnection, ask, request
from tests.support.serve_process import ServeProcess
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow  # waits for time-outs

BODY = b'{"instances": [1.0]}'
PREDICT = "/v1/models/affine:predict"
RPC = "/tensorflow.serving.PredictionService/Predict"
STATUS = "/tensorflow.serving.ModelService/GetModelStatus"
PAUSE_S = 0.005  # of each client between two requests: a hundred a second each, which leaves the server idle at times


def predict_message() -> bytes:
    asked = messages.PredictRequest(model_spec=messages.ModelSpec(name="affine"))
    asked.inputs.get_or_create("x").CopyFrom(tensors.encode(np.ones(1, np.float32)))
    return asked.SerializeToString()


class Load:
    """Clients that go on asking, and the count of what each request came to."""

    def __init__(self, rest: str, grpc_address: str) -> None:
        self.rest, self.grpc = rest, grpc_address
        self.outcomes: collections.Counter[str] = collections.Counter()
        self.over = threading.Event()
        kinds = [self._kept] * 3 + [self._fresh] * 3 + [self._rpc] * 2
        self.threads = [threading.Thread(target=kind) for kind in kinds]

    def __enter__(self) -> "Load":
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        for thread in self.threads:
            thread.join()

    def _connect(self) -> HttpConnection | None:
        try:
            return HttpConnection(self.rest)
        except ConnectionRefusedError:
            self.outcomes["no server"] += 1
        except OSError as error:
            self.outcomes[f"connecting: {error!r}"] += 1
        return None

    def _ask(self, connection: HttpConnection, name: str) -> bool:
        """Whether the connection can be used again."""
        try:
            answer = connection.ask("POST", PREDICT, BODY)
        except (OSError, EOFError) as error:
            self.outcomes[f"{name}: {error!r}"] += 1
            return False
        self.outcomes[f"{name}: {answer.status}"] += 1
        return answer.headers.get("connection") != "close"

    def _kept(self) -> None:
        connection = None
        while not self.over.wait(PAUSE_S):
            connection = connection or self._connect()
            if connection is not None and not self._ask(connection, "kept"):
                connection.close()
                connection = None
        if connection is not None:
            connection.close()

    def _fresh(self) -> None:
        while not self.over.wait(PAUSE_S):
            if (connection := self._connect()) is not None:
                with connection:
                    self._ask(connection, "fresh")

    def _rpc(self) -> None:
        data = predict_message()
        with grpc.insecure_channel(self.grpc) as channel:
            call = channel.unary_unary(RPC)
            while not self.over.wait(PAUSE_S):
                try:
                    call(data, timeout=10)
                    self.outcomes["gRPC: OK"] += 1
                except grpc.RpcError as error:
                    self.outcomes[f"gRPC: {error.code().name}"] += 1


FINE = {"no server", "kept: 200", "kept: 503", "fresh: 200", "fresh: 503", "gRPC: OK", "gRPC: UNAVAILABLE"}


def stop_under_load(serve: Callable[..., ServeProcess], base: Path) -> collections.Counter[str]:
    """One trial."""
    process = serve("--model_name=affine", f"--model_base_path={base}", "--port=auto", "--rest_api_port=auto")
    with Load(process.address("REST"), process.address("gRPC")) as load:
        eventually(lambda: all(load.outcomes[name] > 50 for name in ("kept: 200", "fresh: 200", "gRPC: OK")))
        assert process.end(signal.SIGTERM) == 0
        eventually(lambda: load.outcomes["no server"] > 3)
    return load.outcomes


@pytest.fixture
def base(tmp_path, add_version):
    return add_version(tmp_path / "affine", 1, "affine-2").parent


@pytest.mark.parametrize("trial", range(3))
def test_a_stop_under_load_resets_and_cancels_nobody(serve, base, trial):
    """In half of the trials some requests that had been sent got a reset, and a gRPC call CANCELLED."""
    outcomes = stop_under_load(serve, base)
    assert set(outcomes) <= FINE, outcomes
    assert outcomes["kept: 503"] + outcomes["fresh: 503"] > 0


def test_an_idle_connection_is_closed_at_a_stop_and_not_reset(serve, base):
    process = serve("--model_name=affine", f"--model_base_path={base}", "--port=auto", "--rest_api_port=auto")
    with HttpConnection(process.address("REST")) as connection:
        assert connection.ask("GET", "/v1/models/affine").status == 200
        process.process.send_signal(signal.SIGTERM)
        assert connection.socket.recv(1) == b""
    assert process.end() == 0


def test_an_answer_that_is_being_read_is_read_to_its_end(serve, base):
    """An answer counted as given when it was written, which a client that reads it slowly did not see."""
    values = 500_000
    body = b'{"instances": [' + b"1.25," * (values - 1) + b"1.25]}"
    process = serve("--model_name=affine", f"--model_base_path={base}", "--port=auto", "--rest_api_port=auto")
    with HttpConnection(process.address("REST"), receive_buffer=4096) as connection:
        connection.send(request("POST", PREDICT, body, {"Connection": "close"}))
        assert connection.socket.recv(8, socket.MSG_PEEK) == b"HTTP/1.1"
        process.process.send_signal(signal.SIGTERM)
        process.wait_for_output("Draining")
        threading.Event().wait(2.0)  # longer than a stop waits for who asks for more
        assert len(connection.answer().json()["predictions"]) == values
    assert process.end() == 0


def test_a_client_that_never_reads_holds_up_a_stop_for_the_grace_only(serve, base):
    flags = ["--port=auto", "--rest_api_port=auto", "--grace_seconds=1"]
    process = serve("--model_name=affine", f"--model_base_path={base}", *flags)
    with HttpConnection(process.address("REST"), receive_buffer=4096) as connection:
        connection.send(request("POST", PREDICT, b'{"instances": [' + b"1.25," * 900_000 + b"1.25]}"))
        assert connection.socket.recv(8, socket.MSG_PEEK) == b"HTTP/1.1"
        assert process.end(timeout=20) == 0
    assert "what was still under way after the grace is given up" in process.output


def grpc_answers(address: str) -> bool:
    asked = messages.GetModelStatusRequest(model_spec=messages.ModelSpec(name="affine")).SerializeToString()
    with grpc.insecure_channel(address) as channel:
        try:
            channel.unary_unary(STATUS)(asked, timeout=5, wait_for_ready=True)
        except grpc.RpcError:
            return False
    return True


def rest_answers(address: str) -> bool:
    try:
        return ask(address, "GET", "/v1/health/ready").status == 200
    except (OSError, EOFError):
        return False


def test_silent_rest_connections_shut_out_nobody(serve, base):
    """400 of them under `ulimit -n 256` left no descriptor for REST or gRPC."""
    flags = ("--model_name=affine", f"--model_base_path={base}", "--port=auto", "--rest_api_port=auto")
    process = serve(*flags, before="ulimit -n 256")
    rest, rpc = process.address("REST"), process.address("gRPC")
    silent = [HttpConnection(rest) for _ in range(400)]
    for number, connection in enumerate(silent):
        connection.send(
            [b"GET / HTTP/1.1\r\n", b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n1"][number % 2]
        )
    assert ask(rest, "GET", "/v1/health/ready").status == 200
    assert ask(rest, "POST", PREDICT, BODY).status == 200
    assert grpc_answers(rpc)
    assert process.output.count("REST connections are open, as many as may be (--rest_api_max_connections") == 1
    for connection in silent:
        connection.close()
    assert ask(rest, "GET", "/v1/health/ready").status == 200


def test_silent_grpc_connections_do_not_end_the_rest_port(serve, base):
    """Where they take the last descriptor the REST port waits for one; it had closed for good."""
    flags = ("--model_name=affine", f"--model_base_path={base}", "--port=auto", "--rest_api_port=auto")
    process = serve(*flags, before="ulimit -n 256")
    rest, rpc = process.address("REST"), process.address("gRPC")
    silent = [HttpConnection(rpc) for _ in range(400)]
    for _ in range(3):
        rest_answers(rest)
    for connection in silent:
        connection.close()
    eventually(lambda: rest_answers(rest), what="REST")
    eventually(lambda: grpc_answers(rpc), what="gRPC")
    assert process.end() == 0


def test_a_limit_that_is_given_is_kept(serve, base):
    flags = ["--port=auto", "--rest_api_port=auto", "--rest_api_max_connections=3"]
    process = serve("--model_name=affine", f"--model_base_path={base}", *flags)
    rest = process.address("REST")
    oldest, *others = [HttpConnection(rest) for _ in range(3)]
    assert ask(rest, "GET", "/v1/health/ready").status == 200
    assert oldest.is_closed()
    for connection in others:
        assert connection.ask("GET", "/v1/health/ready").status == 200
    for connection in (oldest, *others):
        connection.close()


def test_eight_clients_that_never_read_and_a_pipeline_hold_up_nobody(serve, base):
    """Others waited 20 s, and for gRPC longer than that."""
    flags = ("--port=auto", "--rest_api_port=auto", "--rest_api_send_timeout_in_ms=1000")
    process = serve("--model_name=affine", f"--model_base_path={base}", *flags)
    rest, rpc = process.address("REST"), process.address("gRPC")
    pipeline = request("GET", "/v1/models/affine/metadata") * 20_000
    unread = [HttpConnection(rest, receive_buffer=4096) for _ in range(8)]
    senders = [threading.Thread(target=send_until_refused, args=(connection, pipeline)) for connection in unread]
    piped = HttpConnection(rest)
    senders.append(threading.Thread(target=piped.send, args=(request("GET", "/v1/models/affine") * 20_000,)))
    for sender in senders:
        sender.start()
    between = 0
    for turn in range(20_000):
        assert piped.answer().status == 200
        if turn in (10, 5_000, 15_000):
            assert ask(rest, "GET", "/v1/health/live").status == 200
            assert grpc_answers(rpc)
            between += 1
    assert between == 3
    for sender in senders:  # those of the clients that never read end when the server gives them up
        sender.join()
    for connection in (piped, *unread):
        connection.close()


def send_until_refused(connection: HttpConnection, data: bytes) -> None:
    try:
        connection.send(data)
    except OSError:
        return


def main(trials: int) -> int:
    """Stop a server so often under load, and print what its clients received."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        models.affine(root / "affine" / "1")
        bad = 0
        for trial in range(trials):
            outcomes = stop_under_load(lambda *flags: ServeProcess(root / "serve.log", *flags), root / "affine")
            lost = {name: count for name, count in outcomes.items() if name not in FINE}
            print(trial, dict(outcomes), "LOST" if lost else "", flush=True)
            bad += bool(lost)
    print(f"{bad} of {trials} lost something")
    return bad


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
