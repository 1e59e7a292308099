"""A request's JSON document: an object at the top level, with `signature_name` and the method's own keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from modelport.errors import InvalidArgument
from modelport_serving.rest.json import numeric_runs
from modelport_serving.rest.json.content import Content
from modelport_serving.rest.json.dump import value_error
from modelport_serving.rest.json.parser import parse

MAX_DEPTH = 1000


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed body.

    `members` may hold arrays of numbers in bulk (`numeric_runs.Run`); `plain()` reads them one by one, exactly as the
    real server does. Error texts and everything unusual are made from the latter.
    """

    body: Content
    max_depth: int
    deadline: float | None
    members: dict[bytes, Any]
    has_runs: bool

    def plain(self) -> dict[bytes, Any]:
        """The members without runs."""
        if not self.has_runs:
            return self.members
        members: dict[bytes, Any] = parse(self.body, self.max_depth, runs=False, deadline=self.deadline)[0]
        return members


def parse_document(
    body: Content, *, max_depth: int = MAX_DEPTH, most: int | None = None, deadline: float | None = None
) -> Document:
    """Parse a request body.

    Args:
        body: the text.
        max_depth: arrays and objects that may be inside one another.
        most: values that may be read one at a time; None for any number.
        deadline: on the monotonic clock; None for none.

    Raises:
        InvalidArgument: no JSON, no object at the top level, or more than `max_depth` arrays and objects inside one
            another.
        Impatient: more than `most` values.
        DeadlineExceeded: it could not be read in time.
    """
    if not body:
        raise InvalidArgument("JSON Parse error: The document is empty")
    value, has_runs = parse(body, max_depth, runs=max_depth >= numeric_runs.DEEPEST, most=most, deadline=deadline)
    if not isinstance(value, dict):
        raise value_error(parse(body, max_depth, runs=False)[0] if has_runs else value, "Is not object")
    return Document(body, max_depth, deadline, value, has_runs)


def signature_name(document: Document) -> str:
    """The signature that the request names, "" when it names none.

    Raises:
        InvalidArgument: the name is not a string.
    """
    name = document.members.get(b"signature_name", b"")
    if not isinstance(name, bytes):
        raise value_error(document.plain(), "not formatted correctly. 'signature_name' key must be a string value.")
    return name.decode("utf-8", "surrogateescape")
