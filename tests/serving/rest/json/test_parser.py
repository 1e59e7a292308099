"""JSON text → values: what is accepted, what is refused, and with which words and offset."""

import contextlib
import json
import time
from math import inf, isnan

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from modelport.errors import InvalidArgument
from modelport_serving.rest.json import dump, parse_document, signature_name
from modelport_serving.rest.json.parser import parse


def value_of(text: bytes):
    return parse(text, 1000, runs=False)[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b' {"a" : [ 1 , {} , [] ] }\r\n\t', {b"a": [1, {}, []]}),
        (b'{"a": null, "b": true, "c": false}', {b"a": None, b"b": True, b"c": False}),
        (b'{"a": 1} trailing', {b"a": 1}),
        (b'{"a": 1}}', {b"a": 1}),
        (b"truefalse", True),
        (b'{"a": 1, "b": 2, "a": 3}', {b"a": 1, b"b": 2}),
        (b'\xef\xbb\xbf{"a": 1}', {b"a": 1}),
        (b'"\xff\xfe"', b"\xff\xfe"),
        (rb'"\"\\\/\b\f\n\r\t"', b'"\\/\b\f\n\r\t'),
        (rb'"\u00e9\u4f60\u0000"', "é你\0".encode()),
        (rb'"\ud83d\ude00\uDC00"', "😀".encode() + b"\xed\xb0\x80"),
        (b'"\x7f"', b"\x7f"),
    ],
)
def test_accepted(text, expected):
    assert value_of(text) == expected


@pytest.mark.parametrize(
    ("text", "message", "offset"),
    [
        (b"  ", "The document is empty.", 2),
        (b"}", "The document is empty.", 0),
        (b"\0", "The document is empty.", 0),
        (b"hello", "Invalid value.", 0),
        (b"nope", "Invalid value.", 1),
        (b"tru", "Invalid value.", 3),
        (b"+1", "Invalid value.", 0),
        (b"-", "Invalid value.", 1),
        (b".5", "Invalid value.", 0),
        (b"Nan", "Invalid value.", 2),
        (b"-Infini", "Invalid value.", 7),
        (b"Ix", "Invalid value.", 1),
        (b"[1,]", "Invalid value.", 3),
        (b"[,1]", "Invalid value.", 1),
        (b"[", "Invalid value.", 1),
        (b'{"a":}', "Invalid value.", 5),
        (b"5.", "Miss fraction part in number.", 2),
        (b"[5.e1]", "Miss fraction part in number.", 3),
        (b"1e", "Miss exponent in number.", 2),
        (b"1.5E-x", "Miss exponent in number.", 5),
        (b"[1e309]", "Number too big to be stored in double.", 1),
        (b"10e308", "Number too big to be stored in double.", 0),
        (b"1" * 400, "Number too big to be stored in double.", 0),
        (b"{a: 1}", "Missing a name for object member.", 1),
        (b"{", "Missing a name for object member.", 1),
        (b'{"a": 1,}', "Missing a name for object member.", 8),
        (b'{"a" 1}', "Missing a colon after a name of object member.", 5),
        (b'{"a": 1 /* */}', "Missing a comma or '}' after an object member.", 8),
        (b'{"a": 1', "Missing a comma or '}' after an object member.", 7),
        (b"[1 2]", "Missing a comma or ']' after an array element.", 3),
        (b"[01]", "Missing a comma or ']' after an array element.", 2),
        (b"[1.5.5]", "Missing a comma or ']' after an array element.", 4),
        (b'["a', "Missing a closing quotation mark in string.", 3),
        (b'"a\0b"', "Missing a closing quotation mark in string.", 2),
        (b'"a\nb"', "Invalid escape character in string.", 2),
        (rb'"a\x"', "Invalid escape character in string.", 2),
        (b'"a\\', "Invalid escape character in string.", 2),
        (rb'"\u12g4"', "Incorrect hex digit after \\u escape in string.", 1),
        (rb'"a\ud800"', "The surrogate pair in string is invalid.", 2),
        (rb'"\ud800\u0041"', "The surrogate pair in string is invalid.", 1),
        (rb'"\ud800\uD"', "Incorrect hex digit after \\u escape in string.", 1),
        (b"\xff\xfe{\0", "Invalid value.", 0),
    ],
)
def test_refused(text, message, offset):
    with pytest.raises(InvalidArgument) as caught:
        value_of(text)
    assert caught.value.message == f"JSON Parse error: {message} at offset: {offset}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("-0", 0),
        ("18446744073709551615", 2**64 - 1),
        ("-9223372036854775808", -(2**63)),
        ("1.0", 1.0),
        ("1e3", 1000.0),
        ("-0.0", -0.0),
        ("0.30000000000000004", 0.30000000000000004),
        ("1E+2", 100.0),
        ("1e-400", 0.0),
        ("0.1e1", 1.0),
        ("1e0000000000000308", 1e308),
        ("0e309", 0.0),
        ("Inf", inf),
        ("-Infinity", -inf),
    ],
)
def test_number_classes(text, expected):
    value = value_of(text.encode())
    assert (type(value), repr(value)) == (type(expected), repr(expected))


def test_nan():
    assert isnan(value_of(b"-NaN"))


@pytest.mark.parametrize(
    ("text", "seventeen"),
    [  # what the real server answers for a double: not the nearest one, but RapidJSON's
        ("1e-45", "1.0000000000000001e-45"),
        ("3.4028235e38", "3.4028234999999999e+38"),
        ("0.6666667", "0.66666669999999995"),
        ("18446744073709551616", "1.8446744073709552e+19"),
        ("123456789.123456789", "123456789.12345679"),
    ],
)
def test_long_literals_follow_rapidjson_closely(text, seventeen):
    value = value_of(text.encode())
    assert isinstance(value, float)
    assert abs(value - float(seventeen)) <= 4 * abs(value) * 2**-52


@given(st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**9), max_value=10**9))
def test_numbers_of_fifteen_digits_are_exact(number):
    assert value_of(str(number).encode()) == float(number)


@given(
    st.from_regex(r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,3})?", fullmatch=True).filter(
        lambda text: 1e-290 < abs(float(text)) < 1e300
    )
)
@example("184467440737095516160.5")
@example("0." + "0" * 40 + "123456789012345678901234")
def test_any_number_is_within_a_few_units_in_the_last_place(text):
    value = value_of(text.encode())
    if isinstance(value, int):
        assert value == int(text)
    else:
        assert abs(value - float(text)) <= 20 * abs(float(text)) * 2**-52


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def with_bytes(value):
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, list):
        return [with_bytes(item) for item in value]
    if isinstance(value, dict):
        return {with_bytes(name): with_bytes(item) for name, item in value.items()}
    return value


@given(json_values, st.booleans(), st.sampled_from([None, 1]))
def test_reads_what_the_standard_library_writes(value, escaped, indent):
    text = json.dumps(value, ensure_ascii=escaped, indent=indent).encode()
    assert value_of(text) == with_bytes(value)


@given(st.text(alphabet='{}[]",:\\ 0123456789.eE+-truefalsnINu\n', max_size=40))
def test_any_text_is_read_or_refused_alike_in_bulk(text):
    outcomes = []
    for runs in (False, True):
        try:
            value, any_run = parse(text.encode(), 1000, runs=runs)
            outcomes.append("value" if any_run else repr(value))
        except InvalidArgument as error:
            outcomes.append(error.message)
    assert outcomes[0] == outcomes[1] or outcomes[1] == "value"
    assert not (outcomes[1] == "value" and outcomes[0].startswith("JSON Parse error"))


@given(st.binary(max_size=30))
def test_any_bytes_raise_nothing_else(body):
    with contextlib.suppress(InvalidArgument):
        signature_name(parse_document(body))


def test_empty_body():
    with pytest.raises(InvalidArgument, match=r"^JSON Parse error: The document is empty$"):
        parse_document(b"")


@pytest.mark.parametrize("text", ["[]", '"a"', "3", "null", "true"])
def test_top_level_must_be_an_object(text):
    with pytest.raises(InvalidArgument) as caught:
        parse_document(text.encode())
    assert caught.value.message == f"JSON Value: {text} Is not object"


@pytest.mark.parametrize("deep", [b"[" * 500_000, b'{"a":' * 500_000, b'{"instances": ' + b"[" * 500_000])
def test_bottomless_nesting_is_refused_at_once(deep):
    began = time.process_time()
    with pytest.raises(InvalidArgument, match="at most 1000 arrays and objects inside one another"):
        parse_document(deep)
    assert time.process_time() - began < 1


@pytest.mark.parametrize("max_depth", [3, 70, 100])
def test_depth_bound_is_exact(max_depth):
    def nested(levels):
        return b'{"k":' + b"[" * (levels - 1) + b"1" + b"]" * (levels - 1) + b"}"

    parse_document(nested(max_depth), max_depth=max_depth).plain()
    with pytest.raises(InvalidArgument, match=f"at most {max_depth} "):
        parse_document(nested(max_depth + 1), max_depth=max_depth).plain()


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (b"{}", ""),
        (b'{"signature_name": ""}', ""),
        (b'{"instances": [1], "signature_name": "s", "signature_name": 3}', "s"),
        ('{"signature_name": "ü"}'.encode(), "ü"),
    ],
)
def test_signature_name(body, name):
    assert signature_name(parse_document(body)) == name


@pytest.mark.parametrize("value", ["3", "null", '["a"]'])
def test_signature_name_must_be_a_string(value):
    body = f'{{"signature_name": {value}, "instances": [1.0, 2]}}'.encode()
    with pytest.raises(InvalidArgument) as caught:
        signature_name(parse_document(body))
    assert caught.value.message == (
        f'JSON Value: {{\n    "signature_name": {value},\n    "instances": [1.0, 2]\n}} '
        "not formatted correctly. 'signature_name' key must be a string value."
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({}, "{}"),
        ([], "[]"),
        ([1, [2.0, None], True, False], "[1, [2.0, null], true, false]"),
        ([{b"x": 1}], '[{\n        "x": 1\n    }]'),
        ({b"a": [{b"x": b'"'}]}, '{\n    "a": [{\n            "x": "\\""\n        }]\n}'),
        (float("nan"), ""),
        ([1, float("inf"), 2], "[1, "),
        (1000.0, "1000.0"),
        (1e20, "100000000000000000000.0"),
        (1e21, "1e21"),
        (1.5e-7, "1.5e-7"),
        (0.000012, "0.000012"),
        (-123.25, "-123.25"),
        (-0.0, "-0.0"),
        (1.25e300, "1.25e300"),
    ],
)
def test_dump(value, text):
    assert dump(value) == text


def test_dump_is_cut_between_values():
    assert dump(list(range(1000))).startswith("[0, 1, 2, ")
    assert 256 <= len(dump(list(range(1000)))) < 266
    assert dump({b"a": b"x" * 1000, b"b": 1}) == '{\n    "a": "' + "x" * 1000 + '"'
