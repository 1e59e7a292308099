"""What must hold for the JSON decoder on any body whatever; used by hypothesis, by the fuzzer and by the replay.

A body is read or refused with a ModelportError whose text can be sent; the bulk path (`numeric_runs`) and the exact
path give the same outcome for every dtype. Anything else escapes as the exception that it is.
"""

from dataclasses import replace
from typing import Any

from modelport.dtypes import BY_NAME
from modelport.errors import ModelportError
from modelport_serving.rest.json import (
    Document,
    decode_examples,
    decode_predict,
    encode_error,
    parse_document,
    signature_name,
)

DTYPES = ("float", "double", "int8", "int32", "int64", "uint32", "uint64", "bool", "half", "string")
SIGNATURES = [{"x": BY_NAME[name].number} for name in DTYPES]
SIGNATURES += [{"a": BY_NAME["float"].number, "b": BY_NAME["int32"].number}]


def check(body: bytes) -> None:
    """Put a body through every reader of the REST API."""
    try:
        document = parse_document(body)
    except ModelportError as error:
        encode_error(error.message)
        return
    for read in (signature_name, lambda read: decode_examples(read, "classify")):
        try:
            read(document)
        except ModelportError as error:
            encode_error(error.message)
    for inputs in SIGNATURES:
        bulk_outcome, exact_outcome = outcome(document, inputs), outcome(document, inputs, exact=True)
        assert bulk_outcome == exact_outcome, f"{inputs}: {bulk_outcome} in bulk, {exact_outcome} one by one"


def outcome(document: Document, inputs: dict[str, int], *, exact: bool = False) -> Any:
    """What decoding gives, comparable: arrays to the bit, or the kind and text of the refusal.

    `exact` reads every number by the exact path. A number that only that path refuses is refused late, not at parsing.
    """
    try:
        read = replace(document, members=document.plain(), has_runs=False) if exact else document
        decoded = decode_predict(read, "s", inputs)
    except ModelportError as error:
        encode_error(error.message)
        return type(error).__name__, error.message
    arrays = decoded.inputs
    assert list(arrays) == list(inputs)
    return decoded.row_format, [
        (array.dtype, array.shape, array.tolist() if array.dtype == object else array.tobytes())
        for array in arrays.values()
    ]
