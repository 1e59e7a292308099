"""Predict bodies → arrays: formats, dtypes, shapes, and error texts."""

import json

import numpy as np
import pytest

from modelport.dtypes import BY_NAME
from modelport.errors import InvalidArgument, Unimplemented
from modelport_serving.rest.json import decode_predict, parse_document

FLOAT, INT32, STRING = (BY_NAME[name].number for name in ("float", "int32", "string"))


def decode(body, inputs=None):
    text = body if isinstance(body, bytes) else (body if isinstance(body, str) else json.dumps(body)).encode()
    return decode_predict(parse_document(text), "DEFAULT", inputs or {"x": FLOAT})


def decode_x(body, dtype="float"):
    return decode(body, {"x": BY_NAME[dtype].number}).inputs["x"]


@pytest.mark.parametrize(
    ("body", "expected", "row_format"),
    [
        ({"instances": [1.0, 2]}, [1, 2], True),
        ({"instances": [[1.0], [2]]}, [[1], [2]], True),
        ({"instances": [{"x": 1.0}]}, [1], True),
        ({"instances": [{"x": [1.0, 2]}, {"x": [3, 4]}]}, [[1, 2], [3, 4]], True),
        ({"instances": [[]]}, [[]], True),
        ({"inputs": 1.0}, 1, False),
        ({"inputs": {"x": 1.0}}, 1, False),
        ({"inputs": []}, [], False),
        ({"inputs": [[], []]}, [[], []], False),
        ({"inputs": {"x": [[1, 2]], "other": "ignored"}}, [[1, 2]], False),
        ({"other": [None, [1]], "inputs": [5]}, [5], False),
        ('{"instances": [2.0], "instances": [4.0]}', [2], True),
        ('{"instances": [{"x": 2.0, "x": 4.0}]}', [2], True),
        ('{"instances": [' + "[" * 19 + "1.5" + "]" * 19 + "]}", np.full((1,) * 20, 1.5), True),
    ],
)
def test_formats(body, expected, row_format):
    decoded = decode(body)
    array = decoded.inputs["x"]
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array, np.array(expected, np.float32), strict=True)
    assert decoded.row_format is row_format


def test_several_inputs():
    inputs = {"a": FLOAT, "b": INT32, "s": STRING}
    rows = decode(
        '{"instances": [{"s": "x", "a": [1, 2], "b": 3}, {"a": [4, 5.5], "b": 6, "s": {"b64": "eQ"}}]}', inputs
    )
    np.testing.assert_array_equal(rows.inputs["a"], np.array([[1, 2], [4, 5.5]], np.float32), strict=True)
    np.testing.assert_array_equal(rows.inputs["b"], np.array([3, 6], np.int32), strict=True)
    assert rows.inputs["s"].tolist() == [b"x", b"y"]
    columns = decode('{"inputs": {"a": [[1]], "b": [1, 2, 3], "s": "x"}}', inputs).inputs
    assert {name: array.shape for name, array in columns.items()} == {"a": (1, 1), "b": (3,), "s": ()}
    assert columns["s"].dtype == object
    assert columns["s"][()] == b"x"


@pytest.mark.parametrize(
    ("dtype", "literal", "value"),
    [
        ("float", "1e39", np.inf),
        ("float", "-1e39", -np.inf),
        ("float", "1e-46", 0.0),
        ("float", "1e-40", 9.99994610111476e-41),
        ("float", "NaN", np.nan),
        ("float", "-Inf", -np.inf),
        ("float", "16777217", 16777216.0),
        ("float", "18446744073709551616", 2.0**64),
        ("float", "-0.0", -0.0),
        ("double", "1", 1.0),
        ("double", "9007199254740993", 9007199254740992.0),
        ("double", "0.1", 0.1),
        ("double", "4.9e-324", 5e-324),
        ("int8", "300", 44),
        ("int8", "-129", 127),
        ("uint8", "-1", 255),
        ("uint8", "300", 44),
        ("int16", "-40000", 25536),
        ("int32", "-2147483648", -(2**31)),
        ("int32", "-0", 0),
        ("int64", "9007199254740993", 2**53 + 1),
        ("int64", "-9223372036854775808", -(2**63)),
        ("uint32", "4294967295", 2**32 - 1),
        ("uint64", "18446744073709551615", 2**64 - 1),
        ("bool", "true", True),
        ("bool", "false", False),
    ],
)
@pytest.mark.parametrize("body", ['{"instances": [%s]}', '{"inputs": [%s]}', '{"inputs": {"x": [%s]}}'])
def test_values(dtype, literal, value, body):
    array = decode_x(body % literal, dtype)
    np.testing.assert_array_equal(array, np.array([value], BY_NAME[dtype].numpy), strict=True)
    assert np.signbit(array[0]) == np.signbit(np.array(value)) or np.isnan(array[0])


@pytest.mark.parametrize(
    ("dtype", "literal", "shown", "kind"),
    [
        ("float", "true", "true", "True"),
        ("float", "null", "null", "Null"),
        ("float", '"1"', '"1"', "String"),
        ("float", '{"b64": "YQ=="}', '{\n    "b64": "YQ=="\n}', "Object"),
        ("double", "false", "false", "False"),
        ("int8", "2147483648", "2147483648", "Number"),
        ("int16", "1e3", "1000.0", "Number"),
        ("int32", "1.0", "1.0", "Number"),
        ("int32", "true", "true", "True"),
        ("int32", "NaN", "", "Number"),
        ("int32", "-2147483649", "-2147483649", "Number"),
        ("int32", "99999999999999999999", "100000000000000000000.0", "Number"),
        ("int64", "9223372036854775808", "9223372036854775808", "Number"),
        ("uint32", "-1", "-1", "Number"),
        ("uint32", "4294967296", "4294967296", "Number"),
        ("uint64", "-1", "-1", "Number"),
        ("bool", "1", "1", "Number"),
        ("bool", "null", "null", "Null"),
        ("string", "1", "1", "Number"),
        ("string", "null", "null", "Null"),
    ],
)
def test_refused_values(dtype, literal, shown, kind):
    text = f"JSON Value: {shown} Type: {kind} is not of expected type: {dtype}"
    with pytest.raises(InvalidArgument) as caught:
        decode_x(f'{{"inputs": [{literal}]}}', dtype)
    assert caught.value.message == text
    with pytest.raises(InvalidArgument) as caught:
        decode_x(f'{{"instances": [{literal}]}}', dtype)
    assert caught.value.message == f"Failed to process element: 0 of 'instances' list. Error: INVALID_ARGUMENT: {text}"


@pytest.mark.parametrize("dtype", ["half", "bfloat16", "uint16", "complex64", "complex128", "qint8"])
def test_dtypes_that_json_does_not_carry(dtype):
    text = f"Conversion of JSON Value: 1.0 to type: {dtype}"
    with pytest.raises(Unimplemented) as caught:
        decode_x({"inputs": [1.0]}, dtype)
    assert caught.value.message == text
    with pytest.raises(InvalidArgument) as caught:
        decode_x({"instances": [1.0]}, dtype)
    assert caught.value.message == f"Failed to process element: 0 of 'instances' list. Error: UNIMPLEMENTED: {text}"
    assert decode_x({"inputs": []}, dtype).shape == (0,)


@pytest.mark.parametrize(
    ("encoded", "expected"),
    [
        ("YQ==", b"a"),
        ("YQ", b"a"),
        ("", b""),
        ("/+8=", b"\xff\xef"),
        ("Y Q==", b"a"),
        ("YQ==\\n", b"a"),
        ("YWI", b"ab"),
        ("YWJj", b"abc"),
        ("YQ=", None),
        ("Y", None),
        ("YWJj=", None),
        ("YWJj====", None),
        ("_-8=", None),
        ("***", None),
        ("YQ==YQ==", None),
    ],
)
def test_base64(encoded, expected):
    body = f'{{"instances": [{{"b64": "{encoded}"}}]}}'
    if expected is not None:
        assert decode_x(body, "string").tolist() == [expected]
        return
    with pytest.raises(InvalidArgument) as caught:
        decode_x(body, "string")
    assert caught.value.message.endswith("Error: INVALID_ARGUMENT: Unable to base64 decode")


def test_strings_are_bytes():
    assert decode_x(b'{"inputs": [["\xff\\u0000a", "\xc3\xa9"], ["", "b"]]}', "string").tolist() == [
        [b"\xff\0a", "é".encode()],
        [b"", b"b"],
    ]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ('{"foo": 1}', "Missing 'inputs' or 'instances' key"),
        ('{"Instances": [1]}', "Missing 'inputs' or 'instances' key"),
        (
            '{"instances": [1], "inputs": [1]}',
            'JSON Value: {\n    "instances": [1],\n    "inputs": [1]\n} '
            "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist ",
        ),
        ('{"instances": 1}', "JSON Value: {\n    \"instances\": 1\n} Expecting 'instances' to be an list/array"),
        ('{"instances": []}', "JSON Value: {\n    \"instances\": []\n} No values in 'instances' array"),
        ('{"inputs": null}', "JSON Value: null Type: Null is not of expected type: float"),
        ('{"inputs": {}}', "Missing named input: x in 'inputs' object."),
        ('{"inputs": {"y": 1}}', "Missing named input: x in 'inputs' object."),
        ('{"instances": [{"x": 1}, [1]]}', "Expecting object but got list at item 1 of input list"),
        ('{"instances": [[1], {"x": 1}]}', "Expecting value/list but got object at item 1 of input list"),
        ('{"inputs": [[1, 2], [1]]}', "Encountered list at unexpected size: 1 at level: 1 expected size: 2"),
        ('{"inputs": [[], [1]]}', "Encountered list at unexpected size: 1 at level: 1 expected size: 0"),
        ('{"inputs": [1, [2]]}', "Encountered list at unexpected level: 1 expected < 1"),
        (
            '{"inputs": [[1], 2.0]}',
            "JSON Value: 2.0 found at incorrect level: 2 in the JSON DOM. Expected at level: 2",
        ),
    ],
)
def test_refused_bodies(body, text):
    with pytest.raises(InvalidArgument) as caught:
        decode(body)
    assert caught.value.message == text


@pytest.mark.parametrize(
    ("rows", "where", "text"),
    [
        ("[[1, 2], [1]]", "1", "Expecting tensor size: 2 but got: 1"),
        ("[[], [1]]", "1", "Expecting tensor size: 0 but got: 1"),
        ("[[1], [[1]]]", "1", "Expecting shape [1] but got: [1,1]"),
        ("[1, [1]]", "1", "Expecting shape [] but got: [1]"),
        ("[[[1, 2], [3]]]", "0", "Encountered list at unexpected size: 1 at level: 1 expected size: 2"),
        ("[[1, [2]]]", "0", "Encountered list at unexpected level: 1 expected < 1"),
        ('[{"x": [1, 2]}, {"x": [1]}]', "1 key: x", "Expecting tensor size: 2 but got: 1"),
        ('[{"y": 1}]', "0 key: y", "JSON object: does not have named input: y"),
        ('[{"x": 1, "y": 1}]', "0 key: y", "JSON object: does not have named input: y"),
        ('[{"b64": 3}]', "0 key: b64", "JSON object: does not have named input: b64"),
        (
            '[{"x": null}]',
            "0 key: x",
            "JSON Value: null Type: Null is not of expected type: float",
        ),
    ],
)
def test_refused_rows(rows, where, text):
    with pytest.raises(InvalidArgument) as caught:
        decode(f'{{"instances": {rows}}}')
    assert caught.value.message == (
        f"Failed to process element: {where} of 'instances' list. Error: INVALID_ARGUMENT: {text}"
    )


def test_rows_need_all_inputs_and_columns_too():
    two = {"b": FLOAT, "a": FLOAT}
    cases = {
        '{"instances": [[1]]}': "instances is a plain list, but expecting list of objects as multiple input tensors "
        "required as per tensorinfo_map",
        '{"inputs": 3}': "inputs is a plain value/list, but expecting an object as multiple input tensors required as "
        "per tensorinfo_map",
        '{"instances": [{"a": 1, "b": 2}, {"a": 1}]}': "Failed to process element: 1 of 'instances' list. JSON object: "
        '{\n    "a": 1\n} keys must be equal to: a,b',
        '{"instances": [{"a": [1], "b": [2]}, {"a": [1]}]}': "Failed to process element: 1 of 'instances' list. JSON "
        'object: {\n    "a": [1]\n} keys must be equal to: a,b',
        '{"inputs": {"a": [1]}}': "Missing named input: b in 'inputs' object.",
    }
    for body, text in cases.items():
        with pytest.raises(InvalidArgument) as caught:
            decode(body, two)
        assert caught.value.message == text


def test_signature_without_inputs():
    with pytest.raises(InvalidArgument, match=r"^Failed to get input map for signature: DEFAULT$"):
        decode_predict(parse_document(b'{"inputs": {}}'), "DEFAULT", {})


def test_too_many_dimensions():
    with pytest.raises(InvalidArgument, match="at most 64 dimensions; received lists nested 70 deep"):
        decode('{"inputs": ' + "[" * 70 + "1" + "]" * 70 + "}")
