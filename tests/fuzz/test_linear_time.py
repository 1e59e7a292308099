"""Bodies four times as long take about four times as long: no shape of JSON is quadratic."""

import time
from contextlib import suppress

import pytest

from modelport.errors import ModelportError
from modelport_serving.rest.json import decode_examples, decode_predict, parse_document
from tests.fuzz.json_checks import SIGNATURES

SIZE = 12_000
ALLOWED = 10  # four, and room for a machine with other things to do

SHAPES = {
    "unclosed arrays as members": lambda n: b'{"a": [1,' * (n // 9),
    "members": lambda n: b"{" + b",".join(b'"m%d": [%d]' % (i, i) for i in range(n // 12)) + b"}",
    "members of one name": lambda n: b"{" + b",".join([b'"a": [1]'] * (n // 9)) + b"}",
    "arrays of strings": lambda n: b'{"instances": [' + b",".join([b'["a"]'] * (n // 6)) + b"]}",
    "an escape after the other": lambda n: b'{"instances": ["' + b"\\u0041" * (n // 6) + b'"]}',
    "a string without an end": lambda n: b'{"instances": ["' + b"a\\n" * (n // 3),
    "digits": lambda n: b'{"inputs": ' + b"0." + b"0" * n + b"1}",
    "digits and an exponent": lambda n: b'{"inputs": 1.' + b"1" * n + b"e-" + b"0" * n + b"5}",
    "white space": lambda n: b'{"inputs": [1' + b" " * n + b", 2" + b"\n" * n + b"]}",
    "rows": lambda n: b'{"instances": [' + b",".join([b"[1.5, 2]"] * (n // 9)) + b"]}",
    "rows that end badly": lambda n: b'{"instances": [' + b",".join([b"[1.5, 2]"] * (n // 9)) + b", null]}",
    "named rows": lambda n: b'{"instances": [' + b",".join([b'{"x": [1.5]}'] * (n // 13)) + b"]}",
    "brackets that close what is not open": lambda n: b'{"a": [1' + b"]" * n,
    "braces after runs": lambda n: b'{"a": ' + b'{"a": [1]}, "b": [' * (n // 18) + b"}",
    "examples": lambda n: b'{"examples": [' + b",".join([b'{"x": [1.5, 2.5]}'] * (n // 18)) + b"]}",
}


def read(body: bytes) -> None:
    with suppress(ModelportError):
        decode_predict(parse_document(body), "s", SIGNATURES[0])
    with suppress(ModelportError):
        decode_examples(parse_document(body), "regress")


def seconds(body: bytes) -> float:
    """The best of three, on this process's own clock."""
    times = []
    for _ in range(3):
        begin = time.process_time()
        read(body)
        times.append(time.process_time() - begin)
    return min(times)


@pytest.mark.parametrize("shape", SHAPES)
def test_four_times_the_body_is_not_sixteen_times_the_work(shape):
    small, large = (seconds(SHAPES[shape](size)) for size in (SIZE, 4 * SIZE))
    assert large < ALLOWED * small + 0.01, f"{small * 1e3:.1f} ms, then {large * 1e3:.1f} ms"
