"""The JSON decoder and encoder on what hypothesis thinks of: any bytes, broken JSON, deep nesting, every dtype."""

import json

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from modelport.dtypes import BY_NAME
from modelport.errors import ModelportError
from modelport_serving.rest.json import decode_predict, encode_predictions, parse_document
from modelport_serving.rest.json.parser import parse
from tests.fuzz.json_checks import check
from tests.fuzz.stack import on_a_used_stack

NUMBERS = ["float32", "float64", "int8", "uint8", "int16", "int32", "int64", "uint32", "uint64"]
TENSORFLOW_NAME = {"float32": "float", "float64": "double"}

numbers = st.one_of(
    st.integers(-(2**65), 2**65).map(str),
    st.floats().map(lambda value: json.dumps(value)),
    st.from_regex(r"-?[0-9]{1,30}(\.[0-9]{0,40})?([eE][+-]?[0-9]{0,5})?", fullmatch=True),
    st.sampled_from(
        ["NaN", "Inf", "-Infinity", "-NaN", "+1", "01", "1.", ".5", "-", "0e309", "1e-999999999999", "1e400"]
    ),
)
escapes = st.sampled_from([r"\u0000", r"\ud83d\ude00", r"\ud800", r"\udc00", r"\x", r"\u12", "\\", "\x01", '"', "é"])
strings = st.lists(st.one_of(st.text(max_size=5), escapes), max_size=4).map(lambda parts: f'"{"".join(parts)}"')
leaves = st.one_of(
    numbers, strings, st.sampled_from(["true", "false", "null", "{}", "[]", '{"b64": "YQ=="}', "tru", ""])
)
names = st.sampled_from(["x", "a", "b", "b64", "instances", "inputs", "signature_name", "examples", "context", ""])
spaces = st.sampled_from(["", " ", "\n\t"])


def arrays(inner):
    return st.tuples(st.lists(inner, max_size=4), spaces).map(lambda pair: f"[{(',' + pair[1]).join(pair[0])}]")


def objects(inner):
    members = st.lists(st.tuples(names, inner), max_size=3)
    return members.map(lambda pairs: "{" + ",".join(f'"{name}":{value}' for name, value in pairs) + "}")


values = st.recursive(leaves, lambda inner: arrays(inner) | objects(inner), max_leaves=12)
bodies = st.tuples(
    st.sampled_from(["", "\ufeff", " "]),
    st.one_of(
        values,
        values.map('{{"instances": {}}}'.format),
        values.map('{{"inputs": {}}}'.format),
        values.map('{{"instances": [{{"x": {0}}}, {{"x": {0}}}]}}'.format),
        values.map('{{"examples": [{{"x": {}}}], "context": {{}}}}'.format),
    ),
    st.sampled_from(["", " tail", "}", "\0"]),
).map(lambda parts: "".join(parts).encode("utf-8", "surrogatepass"))


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes(body):
    check(body)


@settings(max_examples=200, deadline=None)
@given(bodies)
@example(b'[{"x": [1.0]}]')
def test_anything_like_a_request(body):
    check(body)


@settings(deadline=None)
@given(bodies, st.data())
def test_broken_requests(body, data):
    """Cut anywhere, with other bytes put in."""
    start = data.draw(st.integers(0, len(body)))
    check(body[:start] + data.draw(st.binary(max_size=4)) + body[data.draw(st.integers(start, len(body))) :])


@pytest.mark.parametrize("depth", [62, 63, 64, 65, 66, 200, 498, 500, 997, 998, 999, 1000, 1001])
def test_deep_nesting(depth):
    """Not hypothesis's to try: it lifts the limit of the stack."""
    places = ["%s", '{"inputs": %s}', '{"instances": %s}', '{"signature_name": %s}', '{"a": %s, "inputs": 1}']
    for around in [*places, '{"a": %s, "inputs": 1, "instances": 1}']:
        for opening, closing in [("[", "]"), ('{"x":', "}"), ('[{"x":', "}]")]:
            for end in (closing * depth, ""):
                on_a_used_stack(check, (around % (opening * depth + "1" + end)).encode())


@pytest.mark.parametrize("name", NUMBERS)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_numbers_of_every_dtype_are_read(name, data):
    """Also in bulk: `check` compares the two paths. Numbers below the normal floats are zeros, in both servers."""
    shape = data.draw(hnp.array_shapes(min_dims=1, max_dims=3, max_side=5))
    array = data.draw(hnp.arrays(name, shape, elements={"allow_subnormal": False} if name[0] == "f" else None))
    body = json.dumps({"instances": array.tolist()}).encode()
    check(body)
    inputs = {"x": BY_NAME[TENSORFLOW_NAME.get(name, name)].number}
    read = decode_predict(parse_document(body), "s", inputs).inputs["x"]
    if name == "float64":  # RapidJSON's arithmetic: up to 3 units in the last place
        np.testing.assert_allclose(read, array, rtol=1e-15)
    else:
        np.testing.assert_array_equal(read, array, strict=True)


@pytest.mark.parametrize("name", [*NUMBERS, "bool"])
@pytest.mark.parametrize("row_format", [True, False])
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_answers_read_back(name, row_format, data):
    """Every bit of every number, NaN and Infinity included, under any name of an output."""
    shape = data.draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=5))
    aliases = data.draw(st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=2, unique=True))
    outputs = {alias: data.draw(hnp.arrays(name, shape)) for alias in aliases}
    try:
        [alias.encode() for alias in aliases]
    except UnicodeEncodeError:
        return  # a signature's names are protobuf text, which holds no lone surrogates
    body = json.loads(b"".join(encode_predictions(outputs, row_format)))
    read = body["predictions" if row_format else "outputs"]
    if len(outputs) == 1:
        read = {aliases[0]: read}
    elif row_format:
        read = {alias: [row[alias] for row in read] for alias in aliases}
    for alias, array in outputs.items():
        # JSON cannot tell [0, 2] from [0, 3]: behind a dimension of 0 nothing is written
        np.testing.assert_array_equal(np.array(read[alias], name).reshape(shape), array, strict=True)


@settings(deadline=None)
@given(st.lists(st.binary(max_size=20), min_size=1, max_size=5))
def test_strings_survive_question_and_answer(values):
    array = np.empty(len(values), object)
    array[:] = values
    read = parse(b"".join(encode_predictions({"s": array}, True)), 99, runs=False)[0]
    assert read[b"predictions"] == values


def test_a_body_that_is_too_deep_names_the_limit():
    with pytest.raises(ModelportError, match="at most 1000"):
        parse_document(b"[" * 100_000)
