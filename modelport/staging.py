"""Stage → commit: how a version comes into the repository whole or not at all.

A version is written into a sibling folder whose name is no integer, so no server looks at it. `commit` takes the
model's lock, allots the next number, writes the manifest, lets all users read the files, flushes everything to the disk
and renames the folder into place: one atomic step. Both locks are `flock`s, which the kernel drops when their holder
dies, however it dies:

- `.allotted` is locked while folders are made, swept and committed; it holds the last number given out, so a number is
  never used twice, not even after its version was deleted.
- each staging folder is locked by the publisher that fills it; one that can be locked by another was left behind by a
  killed publisher, and the next `stage` removes it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from modelport import manifest as manifests
from modelport.errors import FailedPrecondition, Internal, from_os_error
from modelport.manifest import Manifest
from modelport.readable import make_folder, open_tree

if TYPE_CHECKING:
    from modelport.repository import Repository

ALLOTTED = ".allotted"
STAGING_PREFIX = ".staging-"


@dataclass(frozen=True)
class Published:
    """What a commit gave: the version and where it lies; `new` is False when equal content was there already."""

    model: str
    version: int
    path: Path
    new: bool


class Staging:
    """A version in the making; use as a context manager. Leaving without `commit` removes it.

    Raises (on entering):
        PermissionDenied, ResourceExhausted, FailedPrecondition: the repository is read-only, full, or not a folder.
    """

    def __init__(self, repository: Repository, model: str) -> None:
        self.repository = repository
        self.model = model
        self._base = repository.base_path(model)
        self._path: Path | None = None
        self._lock = -1

    @property
    def path(self) -> Path:
        """The folder to fill."""
        if self._path is None:
            raise Internal("Expected a staging that was entered and not yet committed: use it in a `with` statement.")
        return self._path

    def __enter__(self) -> Staging:
        try:
            make_folder(self._base)
            with _allotment(self._base):
                _sweep(self._base)
                path = self._base / f"{STAGING_PREFIX}{secrets.token_hex(6)}"
                path.mkdir()
                self._lock = _lock_folder(path)
                self._path = path
        except OSError as error:
            raise from_os_error(error, "stage a version in", self._base) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._path is not None:
            shutil.rmtree(self._path, ignore_errors=True)
        self._release()

    def commit(self, manifest: Manifest) -> Published:
        """Make the staged files the next version, or recognise them as the newest one.

        A manifest whose `content_digest` equals that of the model's newest version is a no-op that returns that
        version. (Equal to an older one is a new version: the publisher wants it served again.)

        Raises:
            FailedPrecondition: there is no `saved_model.pb` in the folder.
            PermissionDenied, ResourceExhausted: the disk refuses; nothing became visible.
        """
        path = self.path
        if not (path / "saved_model.pb").is_file():
            raise FailedPrecondition(f"Expected a SavedModel in {str(path)!r}: there is no 'saved_model.pb' in it.")
        try:
            files = manifests.digest_files(path)
            digest = manifest.content_digest or manifests.digest_of(files)
            with _allotment(self._base) as last:
                newest = self.repository.newest_manifest(self.model)
                if newest is not None and newest.content_digest == digest:
                    return Published(
                        self.model, newest.version, self.repository.version_path(self.model, newest.version), new=False
                    )
                versions = self.repository.versions(self.model)
                version = max(last, *versions, 0) + 1
                complete = dataclasses.replace(
                    manifest,
                    model=self.model,
                    content_digest=digest,
                    version=version,
                    parent_version=versions[-1] if versions else None,
                    created=datetime.now(UTC).isoformat(timespec="seconds"),
                    files=files,
                )
                target = manifests.RELATIVE_PATH
                (path / target).parent.mkdir(exist_ok=True)
                (path / target).write_text(complete.to_json(), "utf-8")
                open_tree(path)
                _flush(path)
                _record(self._base, version)
                final = self._base / str(version)
                path.rename(final)
                _flush_folder(self._base)
        except OSError as error:
            raise from_os_error(error, "commit a version into", self._base) from error
        self._path = None
        self._release()
        return Published(self.model, version, final, new=True)

    def _release(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1
        self._path = None


@contextlib.contextmanager
def _allotment(base: Path) -> Iterator[int]:
    """Hold the model's lock; gives the last number that was given out (0 at first)."""
    with (base / ALLOTTED).open("a+", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        text = file.read().strip()
        yield int(text) if text.isdecimal() else 0


def _record(base: Path, version: int) -> None:
    """Write down the number before it is used: a number lost to a crash is skipped, never doubled."""
    with (base / ALLOTTED).open("r+", encoding="ascii") as file:
        file.write(f"{version}\n")
        file.truncate()
        file.flush()
        os.fsync(file.fileno())


def _lock_folder(path: Path) -> int:
    """Open a folder and take its lock; raises BlockingIOError when somebody alive holds it."""
    handle = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise
    return handle


def _sweep(base: Path) -> None:
    """Remove what killed publishers left; called under the model's lock, so no new folder is taken for a dead one."""
    for path in base.glob(f"{STAGING_PREFIX}*"):
        try:
            handle = _lock_folder(path)
        except OSError:  # held by a living publisher, or not ours to open
            continue
        shutil.rmtree(path, ignore_errors=True)
        os.close(handle)


def _flush(folder: Path) -> None:
    """fsync every file and folder below, deepest first, then the folder itself."""
    for root, _, names in os.walk(folder, topdown=False):
        for name in names:
            with Path(root, name).open("rb") as file:
                os.fsync(file.fileno())
        _flush_folder(Path(root))


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
