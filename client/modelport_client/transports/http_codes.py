"""The canonical codes that HTTP statuses stand for: the REST API has the one, its errors are told by the other."""

from __future__ import annotations

from modelport.errors import Code

# Where several canonical codes share an HTTP status, the one that the server means most often.
_CODES = {
    400: Code.INVALID_ARGUMENT,
    401: Code.UNAUTHENTICATED,
    403: Code.PERMISSION_DENIED,
    404: Code.NOT_FOUND,
    407: Code.UNAUTHENTICATED,
    409: Code.ABORTED,
    413: Code.RESOURCE_EXHAUSTED,
    429: Code.RESOURCE_EXHAUSTED,
    499: Code.CANCELLED,
    500: Code.INTERNAL,
    501: Code.UNIMPLEMENTED,
    502: Code.UNAVAILABLE,
    503: Code.UNAVAILABLE,
    504: Code.DEADLINE_EXCEEDED,
}


def of_status(status: int) -> Code:
    """The code of an answer that is an error."""
    return _CODES.get(status, Code.UNKNOWN)
