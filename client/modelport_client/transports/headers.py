"""Headers that go with a call: HTTP headers, or gRPC metadata."""

from __future__ import annotations

import re
from collections.abc import Mapping

from modelport.errors import InvalidArgument

_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # a token of RFC 9110
_VALUE = re.compile(r"(?:[!-~](?:[ -~]*[!-~])?)?")  # visible ASCII, which gRPC takes as well


def checked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers, if they can be sent.

    Raises:
        InvalidArgument: one that HTTP or gRPC cannot carry. Values may be secrets, and are not told.
    """
    for name, value in headers.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name) or name.lower().endswith("-bin"):
            raise InvalidArgument(f"Expected a header's name such as 'x-api-key'. Received: {name!r}")
        if not isinstance(value, str) or not _VALUE.fullmatch(value):
            raise InvalidArgument(f"Expected ASCII text without line breaks for the header {name!r}. Received other.")
    return dict(headers)
