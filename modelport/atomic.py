"""The one way to write a file or a folder: aside, flushed, renamed into place. It is there whole or not at all.

What is written lies in a hidden folder beside its place, on the same file system, until a rename makes it visible. The
writer holds a lock on the hidden folder, which the kernel drops when the writer dies, however it dies. The next writer
in the same place sweeps away what the dead left.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from modelport.errors import AlreadyExists, DataLoss, Internal, from_os_error
from modelport.regular_files import files_below

PREFIX = ".modelport-"  # of hidden folders where nothing else says how they are called
_TOKEN_BYTES = 6  # of a hidden folder's name: 2**48 names, so that two writers do not meet
# What flock says of a folder on a file system that cannot lock one; NFS says EBADF.
_NO_LOCKS = {errno.EBADF, errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}
_MODE = 0o777  # of a file: who may read, write and run it


def write(path: Path, make: Callable[[Path], object]) -> None:
    """Let `make` write the file at another path of the same name, and put it in the place of `path`.

    A link stays: what it points at is replaced. A file that is there passes on its mode, and its owner and group where
    the system lets us. Folders that are missing are made.

    Raises:
        PermissionDenied, ResourceExhausted, …: the disk refuses; `path` is as it was. So it is when `make` raises.
    """
    try:
        place = Path(os.path.realpath(path))
        place.parent.mkdir(parents=True, exist_ok=True)
        with Aside(place.parent, mode=0o700) as aside:  # a secret is not shown to others while it is written
            made = aside.path / place.name  # the suffix stays: Keras and numpy look at it
            make(made)
            _pass_on_mode(place, made)
            _put(made, place)
    except OSError as error:
        raise from_os_error(error, "write", path) from error


def write_text(path: Path, text: str) -> None:
    """`write` a text in UTF-8, its line ends as they are."""
    write(path, lambda made: made.write_bytes(text.encode()))


def write_bytes(path: Path, data: bytes) -> None:
    """`write` these bytes."""
    write(path, lambda made: made.write_bytes(data))


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A folder to fill, which is at `path` when the block ends, and gone when the block raises.

    Raises:
        AlreadyExists: there is something at `path`, before or after the block.
        PermissionDenied, ResourceExhausted, …: the disk refuses.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with Aside(path.parent) as aside:
            yield aside.path
            aside.put(path)
    except OSError as error:
        raise from_os_error(error, "write the folder", path) from error


def refuse_existing(path: Path) -> None:
    """Raise AlreadyExists when there is something at `path`, a dangling link included."""
    if path.exists() or path.is_symlink():
        raise AlreadyExists(
            f"Expected a folder that is not there yet, because nothing is overwritten. Received: {str(path)!r}"
        )


class Aside:
    """A hidden folder in `parent`, held while it is filled; use as a context manager. Leaving removes what is in it.

    Args:
        parent: where it is made; a folder that is there.
        prefix: of its name. On entering, folders of that prefix whose writers are dead are removed.
        mode: of the folder, before the umask.

    Raises (on entering): OSError.
    """

    def __init__(self, parent: Path, prefix: str = PREFIX, mode: int = 0o777) -> None:
        self._parent = parent
        self._prefix = prefix
        self._mode = mode
        self._path: Path | None = None
        self._lock = -1

    @property
    def path(self) -> Path:
        """The folder to fill."""
        if self._path is None:
            raise Internal("Expected a hidden folder that was entered and not yet put into place: use it in a `with`.")
        return self._path

    def __enter__(self) -> Aside:
        sweep(self._parent, self._prefix)
        while self._path is None:
            path = self._parent / f"{self._prefix}{secrets.token_hex(_TOKEN_BYTES)}"
            path.mkdir(self._mode)
            try:
                lock = _lock(path)
            except OSError as error:
                if error.errno not in _NO_LOCKS:
                    path.rmdir()
                    raise
                lock = -1  # nobody can lock it, so nobody sweeps it away
            if lock is not None:  # else a sweep came between making and locking: the folder is gone
                self._lock, self._path = lock, path
        return self

    def __exit__(self, *_: object) -> None:
        if self._path is not None:
            shutil.rmtree(self._path, ignore_errors=True)
            self._path = None
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def put(self, place: Path) -> None:
        """Flush the folder and rename it to `place`.

        Raises:
            AlreadyExists: there is something at `place`.
            OSError: the disk refuses.
        """
        refuse_existing(place)
        _put(self.path, place)
        self._path = None


def sweep(parent: Path, prefix: str = PREFIX) -> None:
    """Remove the hidden folders that killed writers left in `parent`; none where folders cannot be locked."""
    ours = re.compile(rf"{re.escape(prefix)}[0-9a-f]{{{2 * _TOKEN_BYTES}}}")
    for path in [child for child in parent.iterdir() if ours.fullmatch(child.name)]:
        try:
            lock = _lock(path)
        except OSError:  # not ours to open, or no folder
            continue
        if lock is not None:
            shutil.rmtree(path, ignore_errors=True)
            os.close(lock)


def _lock(folder: Path) -> int | None:
    """Open a folder and take its lock; None when somebody alive holds it, or it is gone."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(handle), folder.stat()):
            return handle
    except (BlockingIOError, FileNotFoundError):
        pass
    except OSError:
        os.close(handle)
        raise
    os.close(handle)
    return None


def _put(made: Path, place: Path) -> None:
    for path in files_below(made) if made.is_dir() else [made]:
        flush(path)
    for root, _, _ in os.walk(made, topdown=False):
        flush(Path(root))
    made.rename(place)
    try:
        flush(place.parent)
    except OSError as error:
        raise DataLoss(
            f"{str(place)!r} is there, whole and visible, but its folder could not be flushed to the disk "
            f"({error.strerror or error}): a loss of power now may take it back. Look at the disk."
        ) from error


def flush(path: Path) -> None:
    """Have a file or folder on the disk when this returns. Raises OSError."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _pass_on_mode(place: Path, made: Path) -> None:
    if not place.exists():
        return
    before = place.stat()
    for owner, group in ((-1, before.st_gid), (before.st_uid, -1)):
        with contextlib.suppress(PermissionError):  # only root gives files away, and only members into a group
            os.chown(made, owner, group)
    made.chmod(before.st_mode & _MODE)
