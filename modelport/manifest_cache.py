"""Manifests that are looked at again and again: each is read once until it changes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from modelport import manifest
from modelport.errors import DataLoss, from_os_error
from modelport.manifest import Manifest


class ManifestCache:
    """Manifests and what is wrong with them, by version. For one thread."""

    def __init__(self) -> None:
        self._known: dict[Path, _Known] = {}

    def read(self, version_path: Path) -> Manifest | None:
        """`manifest.read`; a file that was read before, and was not touched since, is not opened again."""
        stamp = _stamp(version_path / manifest.RELATIVE_PATH)
        known = self._known.get(version_path)
        if known is None or known.stamp != stamp:
            known = self._known[version_path] = _read(version_path, stamp)
        if known.wrong:
            raise DataLoss(known.wrong)
        return known.manifest

    def keep(self, version_paths: Iterable[Path]) -> None:
        """Forget all other versions."""
        kept = set(version_paths)
        self._known = {path: known for path, known in self._known.items() if path in kept}


class _Known(NamedTuple):
    stamp: tuple[int, ...]  # empty: there is no file
    manifest: Manifest | None
    wrong: str = ""  # what a DataLoss says of it


def _read(version_path: Path, stamp: tuple[int, ...]) -> _Known:
    try:
        return _Known(stamp, manifest.read(version_path) if stamp else None)
    except DataLoss as error:
        return _Known(stamp, None, error.message)


def _stamp(path: Path) -> tuple[int, ...]:
    """What changes when a file is written or replaced; empty when there is none."""
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return ()
    except OSError as error:
        raise from_os_error(error, "look at", path) from error
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
