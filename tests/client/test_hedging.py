"""A prediction that takes long is asked for once more."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from modelport.errors import DeadlineExceeded, InvalidArgument, NotFound
from modelport_client import Client
from tests.support.blocking import Blocking

X = {"x": np.zeros(1, np.float32)}


@pytest.mark.parametrize("surface", [Client, Blocking])
def test_a_server_that_hangs_once(server: Any, fronts: Any, surface: Any) -> None:
    asked, hang = [], threading.Event()

    def respond(front: Any) -> None:
        if front.path.endswith(":predict"):
            asked.append(front.path)
            front.read_body()
            if len(asked) == 2:  # the first was to have the connection and the signature
                hang.wait(20)
        fronts.respond_versioned(front)

    target = fronts.start(server.rest_address, respond)
    with surface(target, timeout=30, hedge_after=0.2) as client:
        assert client.predict("affine", X)["y"].tolist() == [2.0]
        begin = time.monotonic()
        assert client.predict("affine", X)["y"].tolist() == [2.0]
        assert 0.2 <= time.monotonic() - begin < 10
        hang.set()
        with pytest.raises(NotFound):
            client.predict("nobody", X)
    assert len(asked) == 3


@pytest.fixture
def hung() -> Iterator[str]:
    """A port that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"127.0.0.1:{listening.getsockname()[1]}"


@pytest.mark.parametrize("surface", [Client, Blocking])
@pytest.mark.parametrize("kind", ["gRPC", "REST"])
def test_a_replica_that_hangs(server: Any, hung: str, kind: str, surface: Any) -> None:
    """A call hedged is answered by the other; an error of it is an answer; and the hung one is left out."""
    good = server.grpc_address if kind == "gRPC" else server.rest_address
    bad = hung if kind == "gRPC" else f"http://{hung}"
    with surface([bad, good], timeout=5, hedge_after=0.1) as client:
        for _ in range(4):
            assert client.predict("affine", X)["y"].tolist() == [2.0]
            with pytest.raises(InvalidArgument):
                client.predict("affine", {"wrong": X["x"]})
    with surface([bad, good], timeout=0.5) as client:
        failed = 0
        for _ in range(12):
            try:
                client.predict("affine", X)
            except DeadlineExceeded:
                failed += 1
        assert failed <= 2


def test_off_by_default_and_checked() -> None:
    with pytest.raises(InvalidArgument, match="more than 0"):
        Client("localhost:1", hedge_after=0)
