"""The situations: which big requests others must not notice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fairness_load import bodies, model
from fairness_load.grpc_errands import grpc_answer, grpc_request
from fairness_load.outcome import Errand
from fairness_load.rest_errands import never_read, pipeline, rest_answer, rest_body

MB = 1_000_000
RANK = 64  # dimensions that our server takes at most (--max_tensor_rank)
DEPTH = 1000  # arrays that our server takes within one another (--rest_api_max_json_depth)
CROWD = 8
FLOATS = 25 * MB  # of four bytes: 100 MB
QUICK = 10  # times smaller is a big request of --quick


@dataclass(frozen=True)
class Situation:
    """A big request.

    Args:
        name: as the table prints it.
        prepare: how many times smaller than usual → the errand.
        clients: that run it at a time.
        is_quick: part of --quick.
        is_judged: held against the bound; otherwise only reported.
    """

    name: str
    prepare: Callable[[int], Errand]
    clients: int = 1
    is_quick: bool = False
    is_judged: bool = True


def _body(make: Callable[[int], bodies.Body], size: int) -> Callable[[int], Errand]:
    return lambda smaller: rest_body(make(size // smaller))


def _answer(signature: str, count: int, form: str) -> Callable[[int], Errand]:
    return lambda smaller: rest_answer(signature, count // smaller, form)


def _grpc_answer(signature: str, count: int) -> Callable[[int], Errand]:
    return lambda smaller: grpc_answer(signature, count // smaller)


def _grpc_request(signature: str, count: int, *, typed: bool = True) -> Callable[[int], Errand]:
    make = f"make_{signature}"
    return lambda smaller: grpc_request(signature, model.made(make, count // smaller), typed=typed)


# An integer of `make_integers` takes 8.9 bytes as a varint, on average.
_INTEGERS = FLOATS * 4 * 10 // 89
_STRINGS = 2 * MB

SITUATIONS = [
    Situation("REST answer, 5,000,000 floats as rows", _answer("make_floats", 5 * MB, "instances"), is_quick=True),
    Situation("REST answer, 5,000,000 floats as a column", _answer("make_floats", 5 * MB, "inputs")),
    Situation("REST answer, 5,000,000 integers", _answer("make_integers", 5 * MB, "instances"), is_quick=True),
    Situation("REST answer, 5,000,000 floats, 8 clients", _answer("make_floats", 5 * MB, "instances"), CROWD),
    Situation("REST body, 20 MB of floats", _body(bodies.floats, 20 * MB)),
    Situation("REST body, 100 MB of floats", _body(bodies.floats, 100 * MB), is_quick=True),
    Situation("REST body, 100 MB of integers", _body(bodies.integers, 100 * MB)),
    Situation("REST body, one string of 40 MB", _body(bodies.one_string, 40 * MB), is_quick=True),
    Situation("REST body, 1,000,000 short strings", _body(bodies.short_strings, MB), is_quick=True),
    Situation("REST body, 40 MB of base64 strings", _body(bodies.base64_strings, 40 * MB)),
    Situation("REST body, rows of 1,000,000 members", _body(bodies.pairs, MB), is_quick=True),
    Situation("REST body, 1,000,000 unknown keys", _body(bodies.unknown_keys, MB)),
    Situation(
        f"REST body, 20 MB in {RANK} dimensions", _body(lambda size: bodies.deep(size, RANK), 20 * MB), is_quick=True
    ),
    Situation(
        f"REST body, 20 MB in arrays of {DEPTH - 2}", _body(lambda size: bodies.too_deep(size, DEPTH - 2), 20 * MB)
    ),
    Situation("REST body, 20 MB of ragged arrays", _body(bodies.ragged, 20 * MB), is_quick=True),
    Situation("REST body, gzip of 50 MB of floats", _body(bodies.squeezed, 50 * MB), is_quick=True),
    Situation("REST pipeline of 20,000 GETs", lambda smaller: pipeline(20_000 // smaller), is_quick=True),
    Situation("REST answer, 5,000,000 floats, 8 that never read", lambda smaller: never_read(5 * MB // smaller, CROWD)),
    Situation("gRPC request, 100 MB of floats", _grpc_request("floats", FLOATS), is_quick=True),
    Situation("gRPC request, 100 MB of float content", _grpc_request("floats", FLOATS, typed=False)),
    Situation("gRPC request, 100 MB of int64 varints", _grpc_request("integers", _INTEGERS)),
    Situation("gRPC request, 2,000,000 strings", _grpc_request("strings", _STRINGS), is_judged=False),
    Situation("gRPC answer, 100 MB of floats", _grpc_answer("make_floats", FLOATS), is_quick=True),
    Situation("gRPC answer, 100 MB of int64 varints", _grpc_answer("make_integers", _INTEGERS), is_quick=True),
    Situation("gRPC answer, 2,000,000 strings", _grpc_answer("make_strings", _STRINGS), is_judged=False),
    Situation("gRPC request, 100 MB of floats, 8 clients", _grpc_request("floats", FLOATS), CROWD),
]
