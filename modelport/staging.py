"""Stage → commit: how a version comes under a base path whole or not at all.

A version is written into a sibling folder whose name is no integer (`modelport.atomic.Aside`), so no server looks at
it. `commit` takes the model's lock, allots the next number, writes the manifest, lets all users read the files, flushes
everything to the disk and renames the folder into place: one atomic step.

`.allotted` is the lock, and holds the last number given out, so a number is never used twice, not even after its
version was deleted. It is a `flock`, which the kernel drops when its holder dies, however it dies. The file is written
where it is, because a replaced file would be another lock: a few bytes at its beginning, which no kill cuts in two.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from modelport import layout
from modelport import manifest as manifests
from modelport.atomic import Aside
from modelport.digests import digest_files, digest_of
from modelport.errors import DataLoss, FailedPrecondition, OutOfRange, from_os_error
from modelport.layout import list_versions
from modelport.manifest import Manifest
from modelport.readable import make_folder, open_tree
from modelport.regular_files import read_bounded

_MOST_ALLOTTED_BYTES = 64  # the largest number has 19 digits; the rest is for what an editor adds


@dataclass(frozen=True)
class Published:
    """What a commit gave: the version and where it lies; `new` is False when equal content was there already."""

    model: str
    version: int
    path: Path
    new: bool


class Staging:
    """A version in the making; use as a context manager. Leaving without `commit` removes it.

    Args:
        base_path: the model's, made if it is missing; its last part is the model's name.

    Raises (on entering):
        PermissionDenied, ResourceExhausted, FailedPrecondition: the disk is read-only or full, the base path no folder.
        DataLoss: `.allotted` holds no number.
    """

    def __init__(self, base_path: Path) -> None:
        self.model = base_path.name
        self._base = base_path
        self._aside = Aside(base_path, layout.STAGING_PREFIX)

    @property
    def path(self) -> Path:
        """The folder to fill."""
        return self._aside.path

    def __enter__(self) -> Staging:
        try:
            make_folder(self._base)
            with _allotment(self._base):  # what keeps a commit from its number is found before the work
                self._aside.__enter__()
        except OSError as error:
            raise from_os_error(error, "stage a version in", self._base) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._aside.__exit__(kind, error, trace)

    def commit(self, manifest: Manifest) -> Published:
        """Make the staged files the next version, or recognise them as the newest one.

        A manifest whose `content_digest` equals that of the model's newest version is a no-op that returns that
        version. (Equal to an older one is a new version: the publisher wants it served again.)

        Raises:
            FailedPrecondition: there is no `saved_model.pb` in the folder, or something that is no regular file.
            DataLoss: the newest version's manifest, or `.allotted`, cannot be read.
            OutOfRange: the highest number was given out.
            PermissionDenied, ResourceExhausted: the disk refuses; nothing became visible.
        """
        path = self.path
        if not (path / layout.SAVED_MODEL).is_file():
            raise FailedPrecondition(f"Expected a SavedModel in {str(path)!r}: there is no 'saved_model.pb' in it.")
        try:
            files = digest_files(path)
            digest = manifest.content_digest or digest_of(files)
            with _allotment(self._base) as allotted:
                versions = list_versions(self._base)
                newest = manifests.read(versions[max(versions)]) if versions else None
                if newest is not None and newest.content_digest == digest:
                    return Published(self.model, max(versions), versions[max(versions)], new=False)
                version = self._next(allotted.last, versions)
                complete = dataclasses.replace(
                    manifest,
                    model=self.model,
                    content_digest=digest,
                    version=version,
                    parent_version=max(versions) if versions else None,
                    created=datetime.now(UTC).isoformat(timespec="seconds"),
                    files=files,
                )
                manifests.write(path, complete)
                open_tree(path)
                allotted.record(version)
                final = self._base / str(version)
                self._aside.put(final)
        except OSError as error:
            raise from_os_error(error, "commit a version into", self._base) from error
        return Published(self.model, version, final, new=True)

    def _next(self, last: int, versions: Iterable[int]) -> int:
        version = max(last, *versions, 0) + 1
        if layout.parse_version(str(version)) is None:
            raise OutOfRange(
                f"Expected a number above {version - 1} for the next version in {str(self._base)!r}: servers read none "
                "that high. Remove that version, and write a lower number into '.allotted'."
            )
        return version


class _Allotted:
    """The open, locked `.allotted`."""

    def __init__(self, handle: int, last: int) -> None:
        self._handle = handle
        self.last = last  # 0 when no number was given out yet

    def record(self, version: int) -> None:
        """Write down the number before it is used: a number lost to a crash is skipped, never doubled."""
        text = f"{version}\n".encode("ascii")
        os.pwrite(self._handle, text, 0)
        os.ftruncate(self._handle, len(text))
        os.fsync(self._handle)


@contextlib.contextmanager
def _allotment(base: Path) -> Iterator[_Allotted]:
    """Hold the model's lock; raises OSError, and ModelportError for a file that holds no number."""
    path = base / layout.ALLOTTED
    if path.exists():
        read_bounded(path, _MOST_ALLOTTED_BYTES)  # refuses what would never end, before it is opened for writing
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        text = read_bounded(path, _MOST_ALLOTTED_BYTES).decode("ascii", "replace").strip() or "0"
        last = layout.parse_version(text)
        if last is None:
            raise DataLoss(
                f"Expected the last number given out in {str(path)!r}. Received: {text!r}. Write into it the highest "
                "number that a version ever had; without the file, that of the highest version counts."
            )
        yield _Allotted(handle, last)
    finally:
        os.close(handle)
