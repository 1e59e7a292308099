"""Headers of a call: sent over both transports, by one name each, and refused where they cannot be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from modelport.errors import InvalidArgument, Unauthenticated
from modelport_client import Client
from modelport_serving import Server
from tests.support.blocking import Blocking
from tests.support.health_server import answering

X = {"x": np.zeros(1, np.float32)}


@pytest.mark.parametrize("surface", [Client, Blocking])
def test_headers_over_rest(server: Server, fronts: Any, surface: Any) -> None:
    seen: list[dict[str, str]] = []

    def respond(front: Any) -> None:
        seen.append({name.lower(): value for name, value in front.headers.items()})
        if front.headers.get("x-api-key") == "right":
            fronts.respond_versioned(front)
        else:
            front.send(401, b"<html>who are you?</html>")

    target = fronts.start(server.rest_address, respond)
    with surface(target, headers={"X-API-Key": "right"}) as client:
        assert client.predict("affine", X, headers={"x-request-id": "7"})["y"].tolist() == [2.0]
    assert all(one["user-agent"].startswith("modelport-client/") for one in seen)
    assert {one.get("x-request-id") for one in seen} == {"7"}
    with surface(target) as client, pytest.raises(Unauthenticated, match="HTTP status 401"):
        client.predict("affine", X)


@pytest.mark.parametrize("surface", [Client, Blocking])
def test_names_of_headers_have_no_case(server: Server, fronts: Any, surface: Any) -> None:
    seen: list[list[str]] = []

    def respond(front: Any) -> None:
        seen.append(front.headers.get_all("x-key"))
        fronts.respond_versioned(front)

    with surface(fronts.start(server.rest_address, respond), headers={"X-Key": "old"}) as client:
        client.predict("affine", X, headers={"x-key": "new"})
    assert all(one == ["new"] for one in seen)


@pytest.mark.parametrize("surface", [Client, Blocking])
def test_headers_over_grpc(surface: Any) -> None:
    with answering(1) as (address, handler, _):
        with surface(address, headers={"X-API-Key": "k"}) as client:
            client.predict("m", X, headers={"x-request-id": "7"})
        (seen,) = handler.seen
    assert (seen["x-api-key"], seen["x-request-id"]) == ("k", "7")
    assert seen["user-agent"].startswith("modelport-client/")


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Length": "3"},
        {"grpc-timeout": "1"},
        {"a b": "c"},
        {"a": "line\nbreak"},
        {"a": "ü"},
        {"x-bin": "a"},
        {"a": 1},
    ],
)
def test_headers_that_cannot_be_sent(headers: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument, match=r"Expected (a header's name|ASCII text)"):
        Client("localhost:1", headers=headers)
