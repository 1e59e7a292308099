"""Requests of many rows: cut, sent with several under way, and put together again in order, by one version."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
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
    """5.7 MB of JSON for a proxy that takes 2 MB: cut into halves until they fit, if one says so.

    Less than 1 MiB of values is not cut any further: that the server is without room has another reason.
    """
    sizes = []

    def respond(front: Any) -> None:
        size = int(front.headers.get("Content-Length", 0))
        if size > 2_000_000:
            sizes.append(size)
            front.read_body()
            front.send(413, b"<html>Request Entity Too Large</html>")
        else:
            front_answer(front)

    front_answer = fronts.respond_versioned
    with surface(fronts.start(server.rest_address, respond), timeout=60) as client:
        x = np.arange(600_000, dtype=np.float32)
        assert np.array_equal(client.predict("affine", {"x": x}, batch_rows="auto")["y"], x / 2 + 2)
        assert len(sizes) == 1 + 2  # the whole, and its halves
        with pytest.raises(ResourceExhausted, match=r"HTTP status 413.*\n.*batch_rows='auto' cuts it"):
            client.predict("affine", {"x": x})
        with pytest.raises(ResourceExhausted, match="HTTP status 413"):
            client.predict("affine", {"x": x[:250_000]}, batch_rows="auto")
        with pytest.raises(ResourceExhausted, match="HTTP status 413"):
            client.predict("matrix", {"x": np.ones((1, 500_000), np.float32)}, batch_rows="auto")


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


def test_replicas_that_are_updated_one_by_one(serve: Callable, add_version: Callable, tmp_path: Any) -> None:
    """One has version 1 alone, the other version 2: the parts go to the one that answered the first."""
    addresses: dict[str, list[str]] = {"gRPC": [], "REST": []}
    for version in (1, 2):
        add_version(tmp_path / f"m{version}", version, "affine-2")
        process = serve(
            "--model_name=m", f"--model_base_path={tmp_path}/m{version}", "--port=auto", "--rest_api_port=auto"
        )
        for kind, found in addresses.items():
            found.append(process.address(kind))
    for found in addresses.values():
        with Client(found, timeout=30) as client:
            for _ in range(3):
                assert client.predict("m", {"x": X[:6]}, batch_rows=1)["y"].tolist() == (X[:6] / 2 + 2).tolist()


def test_what_the_iterable_raises_comes_after_the_answers(client: Any) -> None:
    def batches() -> Any:
        yield {"x": X[:1]}
        yield {"x": X[1:2]}
        raise RuntimeError("of the user")

    seen = []
    with pytest.raises(RuntimeError, match="of the user"):
        seen.extend(answer["y"].item() for answer in client.predict_batches("affine", batches()))
    assert seen == [2.0, 2.5]


def test_ctrl_c_does_not_wait_for_parts(serve: Callable, add_version: Callable, tmp_path: Any) -> None:
    add_version(tmp_path / "m", 1, "slow_rows")
    process = serve("--model_name=m", f"--model_base_path={tmp_path}/m", "--port=auto")
    code = (
        "import os, signal, threading, numpy as np\nfrom modelport_client import Client\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"client = Client({process.address('gRPC')!r}, timeout=60)\n"
        "threading.Timer(1, lambda: os.kill(os.getpid(), signal.SIGINT)).start()\n"
        "try: client.predict('m', {'seconds': np.full(8, 20, np.float32)}, batch_rows=1)\n"
        "except KeyboardInterrupt: print('interrupted')\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as asking:
        begin = time.monotonic()
        assert asking.communicate(timeout=30)[0] == "interrupted\n"
        assert time.monotonic() - begin < 15


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
