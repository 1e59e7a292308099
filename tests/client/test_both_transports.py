"""Inputs drawn at random, through a model that answers what it is given: the same over both transports and surfaces.

gRPC carries each value bit for bit. JSON carries all that its texts of numbers can: shortest decimals bring floats of
32 and 64 bits back exactly, but NaN's bits are lost, and complex numbers and some small types cannot be written.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelport.errors import InvalidArgument, Unimplemented
from modelport_client import Client
from modelport_serving import AUTO, Options, Server
from tests.support import graphs
from tests.support.blocking import Blocking

OVER_BOTH = {
    "float": "float32",
    "double": "float64",
    "int8": "int8",
    "int16": "int16",
    "int32": "int32",
    "int64": "int64",
    "uint8": "uint8",
    "uint32": "uint32",
    "uint64": "uint64",
    "bool": "bool",
    "string": "object",
}
OVER_GRPC = {"half": "float16", "uint16": "uint16", "complex64": "complex64", "complex128": "complex128"}
SHAPES = arrays.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=4)


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Any]]:
    root = tmp_path_factory.mktemp("models")
    graphs.save(root / "m" / "1", graphs.identities)
    with (
        Server(Options(model_repository=str(root), port=AUTO, rest_api_port=AUTO)) as server,
        Client(server.grpc_address, timeout=30) as grpc,
        Blocking(server.grpc_address, timeout=30) as grpc_async,
        Client(server.rest_address, timeout=30) as rest,
        Blocking(server.rest_address, timeout=30) as rest_async,
    ):
        yield [grpc, grpc_async, rest, rest_async]


def drawn(name: str) -> st.SearchStrategy[Any]:
    if name == "object":
        return arrays.arrays(object, SHAPES, elements=st.binary(max_size=8), fill=st.nothing())
    return arrays.arrays(np.dtype(name), SHAPES)


def same_bits(one: Any, other: Any) -> bool:
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    return one.tolist() == other.tolist() if one.dtype == object else one.tobytes() == other.tobytes()


@pytest.mark.parametrize("signature", [*OVER_BOTH, *OVER_GRPC])
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_it_comes_back(clients: list[Any], signature: str, data: st.DataObject) -> None:
    values = data.draw(drawn({**OVER_BOTH, **OVER_GRPC}[signature]))
    for place, client in enumerate(clients):
        is_rest = place >= 2
        if is_rest and signature in OVER_GRPC:
            with pytest.raises((InvalidArgument, Unimplemented), match=r"Use gRPC|Conversion of JSON Value"):
                client.predict("m", {"x": values}, signature=signature)
            continue
        back = client.predict("m", {"x": values}, signature=signature).raw["y"]
        if is_rest and values.dtype.kind == "f" and np.isnan(values).any():
            assert np.array_equal(back, values, equal_nan=True)
            assert back.dtype == values.dtype
        else:
            assert same_bits(back, values), (type(client).__name__, is_rest)
