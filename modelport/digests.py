"""What lies on the disk of a version: size and SHA-256 of each file."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from modelport import layout
from modelport.errors import from_os_error
from modelport.regular_files import files_below, open_regular


@dataclass(frozen=True)
class FileDigest:
    """One file of a version."""

    sha256: str
    size: int  # bytes


def digest_file(path: Path) -> FileDigest:
    """Digest one file. Raises as `open_regular`."""
    with open_regular(path) as file:
        return FileDigest(hashlib.file_digest(file, "sha256").hexdigest(), os.fstat(file.fileno()).st_size)


def digest_files(folder: Path) -> dict[str, FileDigest]:
    """Digest every file below a version's folder but the manifest itself, by relative POSIX path.

    Raises:
        FailedPrecondition: there is something in it that is neither a folder nor a regular file.
        PermissionDenied, …: a file cannot be read.
    """
    digests = {}
    for path in files_below(folder):
        relative = path.relative_to(folder)
        if relative != layout.MANIFEST:
            try:
                digests[relative.as_posix()] = digest_file(path)
            except OSError as error:
                raise from_os_error(error, "read", path) from error
    return digests


def digest_of(files: Mapping[str, FileDigest]) -> str:
    """One digest of a set of files, by their names and contents."""
    lines = (f"{name}\0{file.sha256}\n" for name, file in sorted(files.items()))
    text = "".join(lines).encode("utf-8", "surrogateescape")  # names are any bytes
    return hashlib.sha256(text).hexdigest()
