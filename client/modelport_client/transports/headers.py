"""Headers that go with a call: HTTP headers, or gRPC metadata."""

from __future__ import annotations

import re
from collections.abc import Mapping

from modelport.errors import InvalidArgument

_NAME = re.compile(r"[0-9a-z_.-]+")  # what gRPC takes, which is less than HTTP does
_VALUE = re.compile(r"(?:[!-~](?:[ -~]*[!-~])?)?")  # visible ASCII
# The transports write these themselves, and would say something untrue with others.
_OWN = {"connection", "content-length", "content-type", "host", "te", "transfer-encoding", "upgrade"}


def checked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers with their names in lower case, if they can be sent.

    Raises:
        InvalidArgument: one that HTTP or gRPC cannot carry, or that is theirs. Values may be secrets, and are not told.
    """
    if not isinstance(headers, Mapping):
        raise InvalidArgument(f"Expected headers as a dict. Received: {type(headers).__name__}")
    checked = {}
    for given, value in headers.items():
        name = given.lower() if isinstance(given, str) else ""
        if not _NAME.fullmatch(name) or name.endswith("-bin") or name.startswith("grpc-") or name in _OWN:
            raise InvalidArgument(
                f"Expected a header's name such as 'x-api-key', and none of HTTP's own. Received: {given!r}"
            )
        if not isinstance(value, str) or not _VALUE.fullmatch(value):
            raise InvalidArgument(f"Expected ASCII text without line breaks for the header {given!r}. Received other.")
        checked[name] = value
    return checked
