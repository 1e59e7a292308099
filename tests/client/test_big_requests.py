"""Requests of many rows: cut, sent with several under way, and put together again in order, by one version."""

from __future__ import annotations

import threading
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from modelport.errors import FailedPrecondition, InvalidArgument, ResourceExhausted
from modelport_client import Client
from tests.support.blocking import Blocking

X = np.arange(1000, dtype=np.float32)


@pytest.mark.parametrize("limits", [{"batch_rows": 7}, {"batch_bytes": 64}, {"batch_rows": 5000}, {"batch_rows": 1000}])
def test_cut_and_put_together(client: Any, limits: dict[str, int]) -> None:
    answer = client.predict("affine", {"x": X}, **limits)
    assert answer["y"].tolist() == (X / 2 + 2).tolist()
    assert (answer.version, answer.signature) == (1, "serving_default")
    assert client.predict("affine", X.tolist(), **limits)["y"].tolist() == (X / 2 + 2).tolist()
    assert client.predict("affine", {"x": X[:0]}, **limits)["y"].tolist() == []


@pytest.mark.parametrize(
    ("inputs", "how", "error", "words"),
    [
        ({"x": X}, {"batch_rows": 0}, InvalidArgument, "batch_rows of 1 at least"),
        ({"x": X}, {"batch_bytes": 1.5}, InvalidArgument, "batch_bytes of 1 at least"),
        ({"x": np.float32(1)}, {"batch_rows": 2}, InvalidArgument, "one number of rows"),
        ({"a": X, "b": X[:3]}, {"batch_rows": 2, "signature": "named"}, InvalidArgument, "one number of rows"),
    ],
)
def test_what_cannot_be_cut(client: Any, inputs: Any, how: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        client.predict("affine", inputs, **how)


def test_answers_without_a_row_for_each_row(serve: Callable, publish: Callable, tmp_path: Any) -> None:
    publish(tmp_path / "m", 1, "wide")
    process = serve("--model_name=m", f"--model_base_path={tmp_path}/m", "--port=auto")
    with Client(process.address("gRPC")) as client:
        with pytest.raises(FailedPrecondition, match=r"each of 4 rows.*'fixed': \[2\]"):
            client.predict("m", {"x": np.ones((9, 3), np.float32)}, batch_rows=4)
        cut = client.predict("m", {"x": np.ones((9, 3), np.float32)}, batch_rows=4, outputs=["n"])
        assert cut["n"].tolist() == [3] * 9


@pytest.mark.parametrize("surface", [Client, Blocking])
def test_a_limit_that_is_found_out(server: Any, fronts: Any, surface: Any) -> None:
    """2 MB of rows for a proxy that takes 600 kB: cut into halves until they fit. Less than 1 MB is not tried again."""
    sizes = []

    def respond(front: Any) -> None:
        size = int(front.headers.get("Content-Length", 0))
        if size > 600_000:
            sizes.append(size)
            front.read_body()
            front.send(413, b"<html>Request Entity Too Large</html>")
        else:
            front_answer(front)

    front_answer = fronts.respond_versioned
    with surface(fronts.start(server.rest_address, respond), timeout=60) as client:
        x = np.arange(300_000, dtype=np.float32)
        assert np.array_equal(client.predict("affine", {"x": x})["y"], x / 2 + 2)
        assert len(sizes) == 7  # 2.7 MB, and its halves and quarters
        with pytest.raises(ResourceExhausted, match="HTTP status 413"):
            client.predict("affine", {"x": x[:200_000]})
        with pytest.raises(ResourceExhausted, match="HTTP status 413"):
            client.predict("matrix", {"x": np.ones((1, 300_000), np.float32)})


@pytest.mark.slow
def test_one_version_answers_all_parts(serve: Callable, add_version: Callable, tmp_path: Any) -> None:
    base = tmp_path / "m"
    add_version(base, 1, "affine-2")
    flags = ("--port=auto", "--rest_api_port=auto", "--file_system_poll_wait_seconds=1")
    process = serve("--model_name=m", f"--model_base_path={base}", *flags)
    stop = threading.Event()
    seen: list[tuple[int | None, set[float]]] = []

    def ask(kind: str) -> None:
        with Client(process.address(kind), timeout=60) as client:
            while not stop.is_set():
                answer = client.predict("m", {"x": np.zeros(50, np.float32)}, batch_rows=1)
                seen.append((answer.version, set(answer["y"].tolist())))

    threads = [threading.Thread(target=ask, args=(kind,)) for kind in ("gRPC", "REST")]
    for thread in threads:
        thread.start()
    while len(seen) < 2:
        threads[0].join(0.05)
    add_version(base, 2, "affine-3")
    with Client(process.address("gRPC")) as client:
        client.wait_until_available("m", 2)
        while client.predict("m", {"x": X[:1]}).version != 2:
            pass
    count = len(seen)
    while len(seen) < count + 4 and any(thread.is_alive() for thread in threads):
        threads[0].join(0.05)
    stop.set()
    for thread in threads:
        thread.join(60)
    assert {(1, 2.0), (2, 3.0)} == {(version, value) for version, values in seen for value in values}
    assert all(len(values) == 1 for _, values in seen)


def test_a_hundred_thousand_rows_in_bounded_memory(server: Any) -> None:
    """60 MB of rows as a generator of batches: never more than a few of them are held."""
    with Client(server.grpc_address, timeout=60) as client:
        client.predict("affine", {"x": X})
        tracemalloc.start()
        try:
            batches = ({"x": np.full((1000, 150), number, np.float32)} for number in range(100))
            rows = sum(len(answer["y"]) for answer in client.predict_batches("affine", batches))
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert rows == 100_000
    assert most < 20e6
