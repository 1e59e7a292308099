"""Runs of numbers that are read in bulk give the answers that reading them one by one gives."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from modelport.dtypes import BY_NAME
from modelport.errors import ModelportError
from modelport_serving.rest.json import decode_predict, parse_document
from modelport_serving.rest.json.parser import parse

FLOAT = BY_NAME["float"].number

literals = st.one_of(
    st.integers(-3, 300).map(str),
    st.integers(-(2**63) - 2, 2**64 + 2).map(str),
    st.floats(allow_nan=False, allow_infinity=False, width=32).map(repr),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.decimals(-1000, 1000, places=4, allow_nan=False).map(lambda number: f"{number:f}"),
    st.sampled_from(["-0", "-0.0", "1e-46", "1e39", "16777217", "16777217.0", "1.000000059604644775390625", "NaN"]),
    st.sampled_from(["true", "null", '"a"', "1e400", "01", "{}", "[]", "1.17549435e-38", "1e-39", "0.1e-500"]),
)
nested = st.recursive(
    st.lists(literals, min_size=1, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
    lambda inner: st.lists(inner, min_size=1, max_size=3).map(lambda items: f"[{','.join(items)} ]"),
    max_leaves=6,
)
bodies = st.tuples(
    st.sampled_from(
        [
            '{"instances": %s}',
            '{"inputs": %s}',
            '{"inputs": {"x": %s}}',
            '{"signature_name": "s", "instances": %s} tail',
            '{"instances": [{"x": %s}, {"x": [1.5]}]}',
            '{"other": [1], "inputs": %s}',
        ]
    ),
    nested,
).map(lambda pair: pair[0] % pair[1])


def outcome(body, dtype, runs):
    try:
        document = parse_document(body.encode())
        if not runs:
            document = replace(document, members=parse(body.encode(), 1000, runs=False)[0], has_runs=False)
        decoded = decode_predict(document, "s", {"x": BY_NAME[dtype].number})
    except ModelportError as error:
        return type(error), error.message
    array = decoded.inputs["x"]
    return decoded.row_format, array.dtype, array.shape, array.tobytes() if array.dtype != object else array.tolist()


@settings(max_examples=600, deadline=None)
@given(
    bodies, st.sampled_from(["float", "double", "int8", "int32", "int64", "uint32", "uint64", "bool", "half", "string"])
)
@example('{"inputs": [0e309, 1.5]}', "float")
@example('{"inputs": [1.000000059604644775390624, 1.0]}', "float")
@example('{"inputs": [340282356779733661637539395458142568448.0, 1.5]}', "float")
@example('{"inputs": [1, 18446744073709551615]}', "uint64")
@example('{"inputs": [-1, 18446744073709551615]}', "double")
@pytest.mark.slow
def test_bulk_path_changes_no_answer(body, dtype):
    assert outcome(body, dtype, runs=True) == outcome(body, dtype, runs=False)


def test_the_usual_request_does_take_the_bulk_path():
    rows = np.random.default_rng(0).random((4, 30), np.float32)
    for body in ({"instances": rows.tolist()}, {"instances": [{"x": row} for row in rows.tolist()]}):
        document = parse_document(json.dumps(body).encode())
        assert document.has_runs
        document = replace(document, body=b"")  # so that nothing can be read again
        np.testing.assert_array_equal(decode_predict(document, "s", {"x": FLOAT}).inputs["x"], rows, strict=True)
