"""Classify and Regress: JSON examples → tf.Example, results → JSON."""

import json

import numpy as np
import pytest

from modelport.errors import InvalidArgument
from modelport.wire import messages
from modelport_serving.rest.json import decode_examples, encode_classifications, encode_regressions, parse_document


def examples_of(body):
    document = parse_document((body if isinstance(body, str) else json.dumps(body)).encode())
    return [messages.Example.FromString(data) for data in decode_examples(document, "classify")]


def features(example):
    kinds = {}
    for name, feature in example.features.feature.items():
        kind = feature.WhichOneof("kind")
        kinds[name] = (kind, list(getattr(feature, kind).value) if kind else [])
    return kinds


def test_kinds_follow_the_literals():
    body = (
        '{"examples": [{"f": [1.0, 1e3, -Inf], "i": 3, "b": [true, 0], "s": ["x", {"b64": "eQ=="}], "none": []}, {}]}'
    )
    first, second = examples_of(body)
    assert features(first) == {
        "f": ("float_list", [1.0, 1000.0, float("-inf")]),
        "i": ("int64_list", [3]),
        "b": ("int64_list", [1, 0]),
        "s": ("bytes_list", [b"x", b"y"]),
        "none": (None, []),
    }
    assert features(second) == {}


def test_numbers_beyond_64_bits_are_floats():
    (example,) = examples_of('{"examples": [{"x": 18446744073709551616}]}')
    assert features(example) == {"x": ("float_list", [2.0**64])}


def test_own_features_win_over_the_context():
    body = {"context": {"x": 10.0, "c": 1}, "examples": [{}, {"x": 2.0}]}
    first, second = map(features, examples_of(body))
    assert first == {"x": ("float_list", [10.0]), "c": ("int64_list", [1])}
    assert second == {"x": ("float_list", [2.0]), "c": ("int64_list", [1])}


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("{}", "JSON Value: {} When method is classify, key 'examples' is expected and was not found"),
        ('{"examples": 3}', "JSON Value: {\n    \"examples\": 3\n} Expecting 'examples' value to be an list/array"),
        ('{"examples": []}', "JSON Value: {\n    \"examples\": []\n} 'examples' value is an empty array"),
        ('{"examples": [3]}', "Example must be JSON object but got JSON Number"),
        ('{"examples": [[{"x": 1}]]}', "Example must be JSON object but got JSON Array"),
        ('{"context": 3}', "Example must be JSON object but got JSON Number"),
        ('{"examples": [{"x": [1.0, 1]}]}', "Unexpected element type in feature: x expecting type: float"),
        ('{"examples": [{"x": [1, 1.0]}]}', "Unexpected element type in feature: x expecting type: int64"),
        ('{"examples": [{"x": ["a", 1.0]}]}', "Unexpected element type in feature: x expecting type: bytes"),
        ('{"examples": [{"x": null}]}', "Feature: x has element with unexpected JSON type: Null"),
        ('{"examples": [{"x": [[1.0]]}]}', "Feature: x has element with unexpected JSON type: Array"),
        ('{"examples": [{"x": {"y": 1}}]}', "Feature: x has element with unexpected JSON type: Object"),
        ('{"examples": [{"x": {"b64": "***"}}]}', "Unable to base64 decode"),
        (
            '{"examples": [{"x": 9223372036854775808}]}',
            "Feature: x has uint64_t element. Only int64_t is supported.",
        ),
    ],
)
def test_refused(body, text):
    with pytest.raises(InvalidArgument) as caught:
        examples_of(body)
    assert caught.value.message == text


def test_classifications():
    classes = np.array([[b"two", b'"'], [b"\n", b""]], object)
    scores = np.array([[2.5, np.nan], [1e-9, -np.inf]], np.float32)
    assert encode_classifications(classes, scores) == (
        b'{\n    "results": [[["two", 2.5], ["\\"", NaN]], [["\\n", 1e-09], ["", -Infinity]]\n    ]\n}'
    )
    assert encode_classifications(None, scores[:1, :1]) == b'{\n    "results": [[["", 2.5]]\n    ]\n}'
    assert encode_classifications(classes[:1, :1], None) == b'{\n    "results": [[["two", 0.0]]\n    ]\n}'
    assert encode_classifications(None, np.zeros((2, 0), np.float32)) == b'{\n    "results": [[], []\n    ]\n}'


def test_regressions():
    assert encode_regressions(np.array([[2.5], [1 / 3]], np.float32)) == b'{\n    "results": [2.5, 0.333333343]\n}'


def test_nothing_to_write():
    with pytest.raises(InvalidArgument, match=r"^Cannot convert empty ClassificationResults to JSON$"):
        encode_classifications(None, np.zeros((0, 3), np.float32))
    with pytest.raises(InvalidArgument, match=r"^Cannot convert empty RegressionResults to JSON$"):
        encode_regressions(np.zeros(0, np.float32))
