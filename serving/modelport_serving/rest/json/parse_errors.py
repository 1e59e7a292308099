"""The texts of JSON syntax errors: those of RapidJSON, as TensorFlow Serving sends them. Clients match on them."""

from __future__ import annotations

from modelport.errors import InvalidArgument
from modelport_serving.rest.json.content import Content

EMPTY = "The document is empty."
INVALID_VALUE = "Invalid value."
MISSING_NAME = "Missing a name for object member."
MISSING_COLON = "Missing a colon after a name of object member."
MISSING_COMMA_IN_OBJECT = "Missing a comma or '}' after an object member."
MISSING_COMMA_IN_ARRAY = "Missing a comma or ']' after an array element."
MISSING_QUOTE = "Missing a closing quotation mark in string."
BAD_ESCAPE = "Invalid escape character in string."
BAD_HEX = "Incorrect hex digit after \\u escape in string."
BAD_SURROGATE = "The surrogate pair in string is invalid."
NUMBER_TOO_BIG = "Number too big to be stored in double."
MISSING_FRACTION = "Miss fraction part in number."
MISSING_EXPONENT = "Miss exponent in number."


def parse_error(text: str, offset: int) -> InvalidArgument:
    """The error of a syntax fault `offset` bytes into the body."""
    return InvalidArgument(f"JSON Parse error: {text} at offset: {offset}")


def literal_error(body: Content, start: int, literal: bytes) -> InvalidArgument:
    """The error of a misspelt literal: it points at the first byte that differs."""
    matched = 0
    while matched < len(literal) and body[start + matched : start + matched + 1] == literal[matched : matched + 1]:
        matched += 1
    return parse_error(INVALID_VALUE, start + matched)
