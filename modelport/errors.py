"""One error tree for the contract, the exporter, the server and the client.

    ModelportError                code        HTTP
    ├── Cancelled                 CANCELLED            499
    ├── Unknown                   UNKNOWN              500
    ├── InvalidArgument           INVALID_ARGUMENT     400   also a ValueError
    ├── DeadlineExceeded          DEADLINE_EXCEEDED    504   also a TimeoutError
    ├── NotFound                  NOT_FOUND            404   also a LookupError
    ├── AlreadyExists             ALREADY_EXISTS       409
    ├── PermissionDenied          PERMISSION_DENIED    403
    ├── ResourceExhausted         RESOURCE_EXHAUSTED   429
    ├── FailedPrecondition        FAILED_PRECONDITION  400
    │   └── Refused               by the gate: nothing is broken, and nothing was published
    ├── Aborted                   ABORTED              409
    ├── OutOfRange                OUT_OF_RANGE         400
    ├── Unimplemented             UNIMPLEMENTED        501
    ├── Internal                  INTERNAL             500
    ├── Unavailable               UNAVAILABLE          503   also a ConnectionError
    ├── DataLoss                  DATA_LOSS            500
    └── Unauthenticated           UNAUTHENTICATED      401

What the server raises as NotFound reaches the user of the client as NotFound. The tree knows canonical codes only; the
HTTP column is the map of the REST shell (`modelport_serving.rest.routes`) and is repeated here for the reader.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping, Sequence
from enum import IntEnum
from pathlib import Path
from typing import Any, ClassVar


class Code(IntEnum):
    """Canonical status codes; the numbers are those of gRPC and of `tensorflow.error.Code`."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


class ModelportError(Exception):
    """Base of every error that modelport raises on purpose; `code` is canonical, `message` is for people."""

    code: ClassVar[Code] = Code.UNKNOWN

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Cancelled(ModelportError):
    """The caller gave up, or the work was withdrawn before it began."""

    code = Code.CANCELLED


class Unknown(ModelportError):
    """An error of which nothing better is known."""

    code = Code.UNKNOWN


class InvalidArgument(ModelportError, ValueError):
    """The input is wrong whatever the state of the system is."""

    code = Code.INVALID_ARGUMENT


class DeadlineExceeded(ModelportError, TimeoutError):
    """The deadline passed before the answer came."""

    code = Code.DEADLINE_EXCEEDED


class NotFound(ModelportError, LookupError):
    """A model, version, file or name that does not exist."""

    code = Code.NOT_FOUND


class AlreadyExists(ModelportError):
    """The thing to be made is there already."""

    code = Code.ALREADY_EXISTS


class PermissionDenied(ModelportError):
    """The operating system or the server refuses this caller."""

    code = Code.PERMISSION_DENIED


class ResourceExhausted(ModelportError):
    """No room: disk, memory, queue or message size."""

    code = Code.RESOURCE_EXHAUSTED


class FailedPrecondition(ModelportError):
    """The input is fine but the system is not in the state that it needs."""

    code = Code.FAILED_PRECONDITION


class Refused(FailedPrecondition):
    """The gate refuses a version; `checks` has what was found, in the manifest's form."""

    def __init__(self, message: str, checks: Sequence[Mapping[str, Any]] = ()) -> None:
        super().__init__(message)
        self.checks = checks


class Aborted(ModelportError):
    """Stopped by a conflict; trying again from the start may help."""

    code = Code.ABORTED


class OutOfRange(ModelportError):
    """Past the end of what there is."""

    code = Code.OUT_OF_RANGE


class Unimplemented(ModelportError):
    """Not offered here."""

    code = Code.UNIMPLEMENTED


class Internal(ModelportError):
    """A promise inside the system was broken."""

    code = Code.INTERNAL


class Unavailable(ModelportError, ConnectionError):
    """Nobody answers now; trying again later may help."""

    code = Code.UNAVAILABLE


class DataLoss(ModelportError):
    """Bytes are missing or do not match their digest."""

    code = Code.DATA_LOSS


class Unauthenticated(ModelportError):
    """The caller did not say who it is."""

    code = Code.UNAUTHENTICATED


_LEAVES: dict[Code, type[ModelportError]] = {leaf.code: leaf for leaf in ModelportError.__subclasses__()}


def from_code(code: int, message: str) -> ModelportError:
    """Make the error of the tree for a canonical code; codes outside the table become Unknown."""
    return _LEAVES.get(Code(code) if code in Code._value2member_map_ else Code.UNKNOWN, Unknown)(message)


_ERRNO: dict[int, type[ModelportError]] = {
    errno.ENOENT: NotFound,
    errno.EACCES: PermissionDenied,
    errno.EPERM: PermissionDenied,
    errno.EROFS: PermissionDenied,
    errno.ENOSPC: ResourceExhausted,
    errno.EDQUOT: ResourceExhausted,
    errno.EFBIG: ResourceExhausted,
    errno.EMFILE: ResourceExhausted,
    errno.ENOTDIR: FailedPrecondition,
    errno.EISDIR: FailedPrecondition,
    errno.ELOOP: FailedPrecondition,
    errno.EEXIST: AlreadyExists,
    errno.ENOTEMPTY: AlreadyExists,
    errno.ENAMETOOLONG: InvalidArgument,
}


def from_os_error(error: OSError, doing: str, path: Path | str) -> ModelportError:
    """Translate an OSError met while `doing` something to `path`; the caller raises it `from error`."""
    kind = _ERRNO.get(error.errno or 0, Internal)
    return kind(f"Cannot {doing} {str(path)!r}: {error.strerror or error}.")
