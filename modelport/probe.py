"""Whether a file system does what a repository rests on: renames in one step, and locks that exclude one another.

Network and overlay mounts may do neither, and then versions and configurations are lost without a word. It is tried
once for each repository; a hidden file says that it was.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import shutil
from pathlib import Path

from modelport import layout
from modelport.errors import FailedPrecondition, from_os_error

_MISSING = {errno.EBADF, errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}


def check(root: Path) -> None:
    """Try a repository's file system, unless that was done before.

    Raises:
        FailedPrecondition: it has no locks, or locks that do not exclude one another, or renames that leave both names.
        PermissionDenied, ResourceExhausted, …: it cannot be written to.
    """
    mark = root / layout.PROBED
    if mark.exists():
        return
    place = root / f"{layout.PROBED}-{secrets.token_hex(6)}"
    try:
        place.mkdir()
        try:
            _try_rename(place, root)
            _try_locks(place, root)
        finally:
            shutil.rmtree(place, ignore_errors=True)
        mark.touch()
    except OSError as error:
        raise from_os_error(error, "try the file system of", root) from error


def _try_rename(place: Path, root: Path) -> None:
    made = place / "made"
    made.mkdir()
    (made / "file").write_bytes(b"whole")
    made.rename(place / "there")
    if made.exists() or (place / "there" / "file").read_bytes() != b"whole":
        raise FailedPrecondition(
            f"Expected a file system on which a folder is renamed in one step. At {str(root)!r} it is not: keep the "
            "repository on a local disk, or on NFS."
        )


def _try_locks(place: Path, root: Path) -> None:
    first, second = (os.open(place, os.O_RDONLY | os.O_DIRECTORY) for _ in range(2))
    try:
        fcntl.flock(first, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        reason = "two writers can hold the same lock"
    except OSError as error:
        if error.errno not in _MISSING:
            raise
        reason = f"there are no locks ({error.strerror})"
    finally:
        os.close(first)
        os.close(second)
    raise FailedPrecondition(
        f"Expected a file system with locks, so that two publications or promotions do not undo each other. At "
        f"{str(root)!r} {reason}: keep the repository on a local disk, or mount it with locks."
    )
