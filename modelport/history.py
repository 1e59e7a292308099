"""What was done with a model's versions, one line a change: when, who, what, and why. Only ever added to.

The file lies beside the versions (`layout.HISTORY`). A line is a JSON object, flushed before the command that wrote it
says that it is done. A last line without its end is what a loss of power leaves: it is no history, and the next writer
puts it aside.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import getpass
import json
import os
import socket
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from modelport import layout
from modelport.errors import DataLoss, FailedPrecondition, from_os_error
from modelport.regular_files import read_bounded

SCHEMA = 1
_MOST_BYTES = 64 * 2**20  # some 200,000 lines
_MOST_LINE_BYTES = 2**20  # a reason may be long, and labels many
_TORN = ".torn"  # is added to the name of the file that lines without an end are put into


@dataclass(frozen=True)
class Entry:
    """One change.

    Attributes:
        action: publish, promote, rollback, label, unlabel, pin, unpin, gc, quarantine or release.
        version: the one that it was about; None for "always the newest".
        live: the version that answers requests without version or label after it; None where that is not known.
        labels: label → version after it.
        label: the one that was moved or taken away.
        why: in the words of whoever did it.
        verdict: of the version's proof, and the digest of its content.
        when: UTC, ISO 8601.
        who: user and host.
    """

    action: str
    version: int | None
    live: int | None
    labels: Mapping[str, int] = field(default_factory=dict)
    label: str = ""
    why: str = ""
    verdict: str = ""
    when: str = ""
    who: str = ""

    def to_json(self) -> str:
        """The line, without its end."""
        return json.dumps({"schema": SCHEMA, **dataclasses.asdict(self)}, sort_keys=True)


def append(base_path: Path, entry: Entry) -> Entry:
    """Add a line, flushed when this returns; time and user are filled in.

    Raises:
        FailedPrecondition: a newer modelport wrote into it.
        DataLoss: the last line is no history; those before it are looked at by `read`.
        PermissionDenied, ResourceExhausted, …: the disk refuses.
    """
    now = datetime.now(UTC).isoformat(timespec="seconds")
    complete = dataclasses.replace(entry, when=entry.when or now, who=entry.who or _who())
    path = base_path / layout.HISTORY
    try:
        with _locked(path) as handle:
            last = _put_torn_aside(path, handle)
            if last:
                _entry(path, None, last)  # whoever cannot read it does not write into it
            line = complete.to_json().encode() + b"\n"
            end = os.fstat(handle).st_size
            try:
                while line:
                    line = line[os.write(handle, line) :]
                os.fsync(handle)
            except OSError:
                os.ftruncate(handle, end)
                raise
    except OSError as error:
        raise from_os_error(error, "write the history", path) from error
    return complete


def check(base_path: Path) -> None:
    """Refuse a history that `append` would refuse, before something is done that ought to be in it.

    Raises:
        FailedPrecondition, DataLoss: see `append`.
        PermissionDenied, ResourceExhausted, …: it cannot be written to.
    """
    path = base_path / layout.HISTORY
    try:
        with _locked(path) as handle:
            last = _put_torn_aside(path, handle)
    except OSError as error:
        raise from_os_error(error, "write the history", path) from error
    if last:
        _entry(path, None, last)


def read(base_path: Path) -> list[Entry]:
    """All changes, oldest first; none where there is no file. A last line without its end is not one.

    Raises:
        FailedPrecondition: a newer modelport wrote into it.
        DataLoss: a line in the middle is no history.
    """
    path = base_path / layout.HISTORY
    if not path.exists():
        return []
    *lines, _ = read_bounded(path, _MOST_BYTES, "read the history").split(b"\n")
    return [_entry(path, number, line) for number, line in enumerate(lines, 1)]


def _entry(path: Path, number: int | None, line: bytes) -> Entry:
    which = "The last line" if number is None else f"Line {number}"
    try:
        found: Any = json.loads(line)
        if found["schema"] > SCHEMA:
            raise FailedPrecondition(
                f"Expected a history of schema {SCHEMA} in {str(path)!r}. {which} is of {found['schema']}: "
                "a newer modelport wrote it. Use that one."
            )
        known = {f.name for f in dataclasses.fields(Entry)}
        return Entry(**{key: value for key, value in found.items() if key in known})
    except (ValueError, KeyError, TypeError) as error:
        raise DataLoss(
            f"Expected a line of JSON with schema and action in {str(path)!r}. {which} is {line[:80]!r}. Put it "
            "right, or move the file away: a new history begins."
        ) from error


def _put_torn_aside(path: Path, handle: int) -> bytes:
    """Put a last line without its end aside; the line before it, empty where there is none.

    Only the end of the file is read: a change costs the same however long the history is.
    """
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        read_bounded(path, _MOST_BYTES, "read the history")  # which says what it is
    size = os.fstat(handle).st_size
    begin = max(0, size - _MOST_LINE_BYTES)
    data = os.pread(handle, size - begin, begin)
    whole = data.rfind(b"\n") + 1
    if begin and not whole:
        raise DataLoss(
            f"Expected lines of at most {_MOST_LINE_BYTES:,} bytes in {str(path)!r}. The last one is longer."
        )
    if whole != len(data):
        with Path(f"{path}{_TORN}").open("ab") as aside:
            aside.write(data[whole:] + b"\n")
            aside.flush()
            os.fsync(aside.fileno())
        os.ftruncate(handle, begin + whole)
    return data[data.rfind(b"\n", 0, max(whole - 1, 0)) + 1 : max(whole - 1, 0)]


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[int]:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK, 0o666)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield handle
    finally:
        os.close(handle)


def _who() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in a container
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"
