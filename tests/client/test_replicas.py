"""Several servers of one model: in turns, without those that are gone or do not serve."""

from __future__ import annotations

import collections
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from grpc_health.v1.health_pb2 import HealthCheckResponse

from modelport.errors import Unavailable
from modelport_client import Client
from tests.support.blocking import Blocking
from tests.support.health_server import answering

X = {"x": np.zeros(1, np.float32)}


@pytest.fixture
def pair(serve: Callable, add_version: Callable, tmp_path: Path) -> list[Any]:
    """Two servers of the model `m`, whose versions tell them apart."""
    processes = []
    for version in (1, 2):
        add_version(tmp_path / f"m{version}", version, "affine-2")
        flags = ("--port=auto", "--rest_api_port=auto")
        processes.append(serve("--model_name=m", f"--model_base_path={tmp_path}/m{version}", *flags))
    return processes


@pytest.mark.parametrize("surface", [Client, Blocking])
@pytest.mark.parametrize("kind", ["gRPC", "REST"])
def test_several_addresses(pair: list[Any], kind: str, surface: Any) -> None:
    with surface([process.address(kind) for process in pair], timeout=30) as client:
        seen = collections.Counter(client.predict("m", X).version for _ in range(20))
        assert set(seen) == {1, 2}
        pair[0].process.kill()
        pair[0].process.wait(10)
        assert {client.predict("m", X).version for _ in range(20)} == {2}
        pair[1].process.kill()
        pair[1].process.wait(10)
        with pytest.raises(Unavailable):
            client.predict("m", X, timeout=1)


@pytest.mark.parametrize("surface", [Client, Blocking])
@pytest.mark.parametrize("how", ["a list", "a name of gRPC"])
def test_a_replica_that_says_that_it_does_not_serve_is_left_out(surface: Any, how: str) -> None:
    with (
        answering(1) as (one, _, health),
        answering(2) as (other, _, _),
        surface([one, other] if how == "a list" else f"ipv4:{one},{other}", timeout=30) as client,
    ):

        def versions() -> set[int]:
            return {client.predict("m", X).version for _ in range(8)}

        for says, expected in ((HealthCheckResponse.NOT_SERVING, {2}), (HealthCheckResponse.SERVING, {1, 2})):
            health.set("", says)
            until = time.monotonic() + 20
            while versions() != expected:
                assert time.monotonic() < until
