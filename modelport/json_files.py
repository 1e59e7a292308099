"""JSON objects on the disk: read with a bound, and checked field by field before anybody relies on them."""

from __future__ import annotations

import json
import reprlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from modelport.errors import DataLoss, FailedPrecondition, InvalidArgument
from modelport.regular_files import read_text

# What a value must be: the test, and the words for it in an error.
Check = tuple[Callable[[Any], bool], str]


def read_object(path: Path, most_bytes: int) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
        NotFound: there is no such file.
        DataLoss: it is no regular file, too large, no UTF-8, no JSON, or no object; the message says which, and where.
        PermissionDenied, …: it cannot be read.
    """
    try:
        text = read_text(path, most_bytes)
    except (FailedPrecondition, InvalidArgument) as error:
        raise DataLoss(error.message) from error
    return parse_object(text, path)


def parse_object(text: str, path: Path) -> dict[str, Any]:
    """The JSON object in a text; `path` is named in errors. Raises DataLoss as `read_object` does."""
    try:
        found = json.loads(text)
    except ValueError as error:
        raise DataLoss(f"Expected JSON in {str(path)!r}; it cannot be read: {error}.") from error
    except RecursionError as error:
        raise DataLoss(f"Expected JSON in {str(path)!r}; it cannot be read: it is nested too deeply.") from error
    if not isinstance(found, dict):
        raise DataLoss(f"Expected a JSON object in {str(path)!r}. Received: {reprlib.repr(found)}.")
    return found


def check_fields(found: Mapping[str, Any], checks: Mapping[str, Check], path: Path, within: str = "") -> None:
    """Check the fields that are there; others are left to the caller.

    Raises:
        DataLoss: a value is not what its check wants; field (below `within`), value and `path` are named.
    """
    for name, (holds, expected) in checks.items():
        if name in found and not holds(found[name]):
            field = f"{within}{name}"
            raise DataLoss(f"Expected {field!r} in {str(path)!r} as {expected}. Received: {reprlib.repr(found[name])}.")


def is_int(value: Any) -> bool:
    """A whole number, and no truth value."""
    return type(value) is int


def is_number(value: Any) -> bool:
    """A number, and no truth value."""
    return type(value) in (int, float)


def is_mapping(value: Any) -> bool:
    """A JSON object."""
    return isinstance(value, dict)


def is_texts(value: Any) -> bool:
    """A list of strings."""
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def is_text(value: Any) -> bool:
    """A string."""
    return isinstance(value, str)


def or_null(check: Check) -> Check:
    """The check, or null."""
    holds, expected = check
    return (lambda value: value is None or holds(value)), f"{expected} or null"
