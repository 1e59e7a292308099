"""Requests that share runs, on a running server: what the metrics page says of runs tells whether they did."""

import re
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest

from modelport.errors import InvalidArgument, ModelportError, ResourceExhausted, Unavailable
from modelport_client import Client
from modelport_serving import AUTO, Options, Server


@contextmanager
def serving(tmp_path, add_version, model, batching="", **options):
    base = tmp_path / "m"
    add_version(base, 1, model)
    monitoring = tmp_path / "monitoring.config"
    monitoring.write_text("prometheus_config { enable: true }")
    if batching:
        (tmp_path / "batching.config").write_text(batching)
        options |= {"enable_batching": True, "batching_parameters_file": str(tmp_path / "batching.config")}
    chosen = Options(
        model_name="m",
        model_base_path=str(base),
        port=AUTO,
        rest_api_port=AUTO,
        max_num_load_retries=0,
        monitoring_config_file=str(monitoring),
        **options,
    )
    with Server(chosen) as server, Client(server.grpc_address, timeout=60, retry=False) as client:
        yield server, client


def metric(server, name, labels=""):
    with urllib.request.urlopen(f"{server.rest_address}/monitoring/prometheus/metrics", timeout=10) as page:
        found = re.search(rf"^{re.escape(name)}\{{{labels}[^}}]*\}} (\S+)$", page.read().decode(), re.MULTILINE)
    return float(found[1]) if found else 0.0


def ask_at_once(client, count, make):
    """Send requests together; their answers or errors, in order."""
    gate = threading.Barrier(count)

    def ask(index):
        gate.wait(30)
        try:
            return client.predict("m", make(index))
        except Exception as error:
            return error

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(ask, range(count)))


def x(*values):
    return {"x": np.array(values, np.float32)}


def test_waiting_requests_share_runs_unasked(tmp_path, add_version):
    with serving(tmp_path, add_version, "affine-2", run_threads=1, join_requests="all") as (server, client):
        for _ in range(20):
            answers = ask_at_once(client, 16, lambda index: x(index, index + 1))
            assert [a["y"].tolist() for a in answers] == [[i / 2 + 2, i / 2 + 2.5] for i in range(16)]
        runs = metric(server, ":tensorflow:core:graph_runs")
        assert metric(server, ":modelport:serving:requests_in_a_run_sum") == 20 * 16
        assert runs < 20 * 16


def test_requests_do_not_share_runs_when_told_so(tmp_path, add_version):
    with serving(tmp_path, add_version, "affine-2", join_requests="none") as (server, client):
        for _ in range(5):
            ask_at_once(client, 16, lambda index: x(index))
        assert metric(server, ":tensorflow:core:graph_runs") == 5 * 16


def test_a_model_that_keeps_state_is_run_for_each_request(tmp_path, add_version):
    with serving(tmp_path, add_version, "row_counter", run_threads=1) as (_, client):
        answers = ask_at_once(client, 16, lambda index: x(index))
        assert sorted(answer["calls"].item() for answer in answers) == list(range(1, 17))


def test_a_model_that_mixes_rows_answers_each_request_alone(tmp_path, add_version):
    with serving(tmp_path, add_version, "centred", run_threads=1) as (_, client):
        for _ in range(5):
            answers = ask_at_once(client, 16, lambda index: x(index, index + 2))
            assert [answer["y"].tolist() for answer in answers] == [[-1, 1]] * 16


def test_one_bad_request_fails_alone(tmp_path, add_version):
    with serving(tmp_path, add_version, "matrix", run_threads=1) as (_, client):
        good, bad = np.ones((1, 3), np.float32), np.ones((1, 4), np.float32)
        answers = ask_at_once(client, 16, lambda index: {"x": bad if index == 5 else good})
        assert isinstance(answers.pop(5), InvalidArgument)
        assert all(answer["y"].tolist() == [[1, 1]] for answer in answers)


def test_the_timeout_gathers_requests(tmp_path, add_version):
    parameters = "max_batch_size { value: 8 } batch_timeout_micros { value: 10000000 } num_batch_threads { value: 1 }"
    with serving(tmp_path, add_version, "affine-2", parameters) as (server, client):
        begin = time.monotonic()
        answers = ask_at_once(client, 8, lambda index: x(index))
        assert time.monotonic() - begin < 8  # full: it did not wait for the timeout
        assert [answer["y"].item() for answer in answers] == [index / 2 + 2 for index in range(8)]
        assert metric(server, ":tensorflow:serving:batching_session:wrapped_run_count") == 1
        assert metric(server, ":tensorflow:serving:batching_session:processed_batch_size_sum") == 8


def test_a_run_that_is_not_full_starts_when_its_time_has_come(tmp_path, add_version):
    parameters = "max_batch_size { value: 8 } batch_timeout_micros { value: 300000 }"
    with serving(tmp_path, add_version, "affine-2", parameters) as (_, client):
        begin = time.monotonic()
        assert client.predict("m", x(2))["y"].tolist() == [3]
        assert time.monotonic() - begin >= 0.3


def test_a_full_queue_refuses(tmp_path, add_version):
    parameters = (
        "max_batch_size { value: 1 } max_enqueued_batches { value: 2 } num_batch_threads { value: 1 } "
        "batch_timeout_micros { value: 0 }"
    )
    with serving(tmp_path, add_version, "slow_rows", parameters) as (_, client):
        answers = ask_at_once(client, 8, lambda index: {"seconds": np.array([0.7], np.float32)})
        refused = [answer for answer in answers if isinstance(answer, Unavailable)]
        assert refused
        assert "max_enqueued_batches is 2" in refused[0].message
        assert "refuses for the moment" in refused[0].message


def test_a_request_without_rows_is_answered(tmp_path, add_version):
    parameters = "max_batch_size { value: 8 } batch_timeout_micros { value: 0 } allowed_batch_sizes: 8"
    with serving(tmp_path, add_version, "affine-2", parameters) as (_, client):
        assert client.predict("m", x())["y"].tolist() == []


@pytest.mark.slow
def test_too_many_waiting_requests_are_refused_at_once(tmp_path, add_version):
    options = {"run_threads": 1, "max_waiting_requests": 2}
    with serving(tmp_path, add_version, "slow", **options) as (_, client):
        answers = ask_at_once(client, 8, lambda index: {"seconds": np.float32(1.0)})
        refused = [answer for answer in answers if isinstance(answer, ResourceExhausted)]
        assert refused
        assert "--max_waiting_requests is 2" in refused[0].message
        assert len(refused) < 8


@pytest.mark.parametrize("words", ["allowed_batch_sizes: 2", "max_batch_size { value: -1 }"])
def test_parameters_are_checked_when_a_model_is_loaded(tmp_path, add_version, words):
    from modelport.errors import Unknown

    with (
        pytest.raises(Unknown, match=r"1 servable\(s\) did not become available: .* INVALID_ARGUMENT: "),
        serving(tmp_path, add_version, "affine-2", words),
    ):
        pass


@pytest.mark.slow
def test_a_stop_does_not_wait_for_a_run_without_end(tmp_path, add_version):
    with serving(tmp_path, add_version, "slow", grace_seconds=0.5, run_threads=1) as (server, client):
        errors = []

        def ask():
            try:
                client.predict("m", {"seconds": np.float32(20)})
            except ModelportError as error:
                errors.append(error)

        asking = [threading.Thread(target=ask, daemon=True) for _ in range(3)]
        for thread in asking:
            thread.start()
        time.sleep(0.5)
        begin = time.monotonic()
        server.stop()
        assert time.monotonic() - begin < 15
        for thread in asking:
            thread.join(10)
        assert len(errors) == 3


@pytest.mark.slow
def test_a_deadline_is_met_while_a_request_waits(tmp_path, add_version):
    with serving(tmp_path, add_version, "slow", run_threads=1, rest_api_timeout_in_ms=400) as (server, client):
        busy = threading.Thread(target=client.predict, args=("m", {"seconds": np.float32(5)}), daemon=True)
        busy.start()
        time.sleep(0.2)
        request = urllib.request.Request(f"{server.rest_address}/v1/models/m:predict", b'{"inputs": 0.0}')
        with pytest.raises(urllib.error.HTTPError) as late:
            urllib.request.urlopen(request, timeout=10)
        late.value.close()
        assert late.value.code == 504
        assert busy.is_alive(), "the answer came when its turn did"
        busy.join(20)
