"""A prediction that takes long is asked for once more."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
import pytest

from modelport.errors import InvalidArgument, NotFound
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
        with pytest.raises(NotFound):  # an error is an answer
            client.predict("nobody", X)
    assert len(asked) == 3


def test_off_by_default_and_checked() -> None:
    with pytest.raises(InvalidArgument, match="more than 0"):
        Client("localhost:1", hedge_after=0)
