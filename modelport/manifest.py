"""`assets.extra/manifest.json`: what a later reader needs to know about a version.

The manifest is written by `modelport.staging` as the last file of a version. `content_digest` says what the version
computes (the exporter derives it from weights, signatures, labels and architecture), `files` what lies on the disk.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import reprlib
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from modelport import layout
from modelport.digests import FileDigest as FileDigest
from modelport.digests import digest_file
from modelport.digests import digest_files as digest_files
from modelport.digests import digest_of as digest_of
from modelport.errors import DataLoss, FailedPrecondition, InvalidArgument, NotFound, from_os_error
from modelport.json_files import (
    Check,
    check_fields,
    is_int,
    is_mapping,
    is_number,
    is_text,
    is_texts,
    or_null,
    parse_object,
    read_object,
)

SCHEMA = 1
RELATIVE_PATH = layout.MANIFEST
MOST_BYTES = 4 * 2**20  # of a manifest: some 25,000 files at 150 bytes each; 200 MB of objects at the worst
_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class Manifest:
    """The facts about one version; the last four are filled in when the version is committed."""

    model: str
    content_digest: str = ""  # empty: the digest of all files is taken
    signatures: Mapping[str, Any] = field(default_factory=dict)  # name -> {"inputs"|"outputs": {alias: dtype, shape}}
    row_independent: Sequence[str] = ()  # signatures whose rows are proven not to influence one another
    loop_free: Sequence[str] = ()  # signatures whose graphs have no loops
    metrics: Mapping[str, float] = field(default_factory=dict)  # on held-out data
    data: Mapping[str, Any] = field(default_factory=dict)  # source and fingerprint of the training data
    training: Mapping[str, Any] = field(default_factory=dict)  # configuration that the model was trained with
    environment: Mapping[str, str] = field(default_factory=dict)  # versions of Python, TensorFlow, Keras, modelport
    proof: Mapping[str, Any] = field(default_factory=dict)  # verdict and figures of the proof before the commit
    source_revision: str | None = None  # of the code that published
    parent_version: int | None = None  # the newest version when this one was made
    version: int = 0
    created: str = ""  # UTC, ISO 8601
    files: Mapping[str, FileDigest] = field(default_factory=dict)  # relative POSIX path -> digest, without this file

    def to_json(self) -> str:
        """The file's text: sorted keys, so that equal manifests are equal files."""
        return json.dumps({"schema": SCHEMA, **dataclasses.asdict(self)}, indent=2, sort_keys=True) + "\n"


_TEXT: Check = (is_text, "a string")
_INTEGER: Check = (is_int, "a whole number")
_OBJECT: Check = (is_mapping, "an object")
_NUMBERS: Check = (lambda value: is_mapping(value) and all(map(is_number, value.values())), "an object of numbers")
_CHECKS: dict[str, Check] = {
    "schema": (lambda value: is_int(value) and value >= SCHEMA, f"a whole number from {SCHEMA}"),
    "model": _TEXT,
    "content_digest": _TEXT,
    "signatures": _OBJECT,
    "row_independent": (is_texts, "a list of names of signatures"),
    "loop_free": (is_texts, "a list of names of signatures"),
    "metrics": _NUMBERS,
    "data": _OBJECT,
    "training": _OBJECT,
    "environment": _OBJECT,
    "proof": _OBJECT,
    "source_revision": or_null(_TEXT),
    "parent_version": or_null(_INTEGER),
    "version": _INTEGER,
    "created": _TEXT,
    "files": _OBJECT,
}
_FILE_CHECKS: dict[str, Check] = {
    "sha256": (lambda value: is_text(value) and _SHA256.fullmatch(value) is not None, "64 hexadecimal digits"),
    "size": (lambda value: is_int(value) and value >= 0, "a number of bytes"),
}


def from_json(text: str, path: Path) -> Manifest:
    """Read a manifest's text; unknown keys of later schemas are ignored.

    Raises:
        DataLoss: the text is not a manifest; `path`, the place in it and what stands there are named.
    """
    return _from_object(parse_object(text, path), path)


def read(version_path: Path) -> Manifest | None:
    """The manifest of the version in this folder, or None when it has none.

    Raises:
        DataLoss: it is no regular file, larger than MOST_BYTES, or not a manifest.
        PermissionDenied, …: it cannot be read.
    """
    path = version_path / RELATIVE_PATH
    try:
        return _from_object(read_object(path, MOST_BYTES), path)
    except NotFound:
        return None


def write(version_path: Path, manifest: Manifest) -> None:
    """Write the manifest into a folder that is not visible yet.

    Raises:
        InvalidArgument: it is larger than MOST_BYTES, which nobody would read.
        OSError: the disk refuses.
    """
    text = manifest.to_json()
    if len(text) > MOST_BYTES:
        raise InvalidArgument(
            f"Expected a manifest of at most {MOST_BYTES:,} bytes. Received: {len(text):,} bytes, with "
            f"{len(manifest.files):,} files. Pack the assets into fewer files, or give less as training and data."
        )
    path = version_path / RELATIVE_PATH
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, "utf-8")


def missing_files(version_path: Path, manifest: Manifest) -> list[str]:
    """The names of the files that the manifest lists and that are not there at full size, sorted.

    Sizes only: digests are held against the files by `verify`.

    Raises:
        PermissionDenied, …: a file cannot be looked at.
    """
    missing = []
    for name, expected in sorted(manifest.files.items()):
        try:
            found = (version_path / name).stat()
        except (FileNotFoundError, NotADirectoryError):
            missing.append(name)
        except OSError as error:
            raise from_os_error(error, "look at", version_path / name) from error
        else:
            if not stat.S_ISREG(found.st_mode) or found.st_size != expected.size:
                missing.append(name)
    return missing


def verify(version_path: Path) -> None:
    """Check a version's files against its manifest.

    Raises:
        DataLoss: a file is missing, cut short or changed; the message names it. A version without manifest passes.
    """
    manifest = read(version_path)
    if manifest is None:
        return
    for name, expected in manifest.files.items():
        path = version_path / name
        try:
            size = path.stat().st_size  # first: there is no need to read what was cut short
            found = digest_file(path) if size == expected.size else None
        except (FileNotFoundError, NotADirectoryError) as error:
            raise DataLoss(f"Expected the file {name!r} in {str(version_path)!r}; it is missing.") from error
        except FailedPrecondition as error:
            raise DataLoss(error.message) from error
        except OSError as error:
            raise from_os_error(error, "read", path) from error
        if found is None:
            raise DataLoss(f"Expected {expected.size} bytes in {name!r} of {str(version_path)!r}; found {size}.")
        if found != expected:
            raise DataLoss(f"Expected {name!r} in {str(version_path)!r} to match its digest; it was changed.")


def _from_object(found: Mapping[str, Any], path: Path) -> Manifest:
    for required in ("schema", "model"):
        if required not in found:
            raise DataLoss(
                f"Expected a manifest in {str(path)!r}, with the field {required!r}. Received: {reprlib.repr(found)}."
            )
    check_fields(found, _CHECKS, path)
    known = {f.name for f in dataclasses.fields(Manifest)}
    fields = {key: value for key, value in found.items() if key in known}
    fields["files"] = {name: _file(name, file, path) for name, file in fields.get("files", {}).items()}
    for names in ("row_independent", "loop_free"):
        fields[names] = tuple(fields.get(names, ()))
    return Manifest(**fields)


def _file(name: str, found: Any, path: Path) -> FileDigest:
    if not _is_inside(name):
        raise DataLoss(
            f"Expected a relative path inside of the version in 'files' of {str(path)!r}. Received: "
            f"{reprlib.repr(name)}."
        )
    if not (is_mapping(found) and found.keys() >= _FILE_CHECKS.keys()):
        raise DataLoss(f"Expected 'sha256' and 'size' of the file {reprlib.repr(name)} in {str(path)!r}.")
    check_fields(found, _FILE_CHECKS, path, within=f"files.{name}.")
    return FileDigest(found["sha256"], found["size"])


def _is_inside(name: str) -> bool:
    """Whether it is a relative POSIX path, plainly written, that the disk can know and that leads nowhere else."""
    parts = PurePosixPath(name).parts
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        return False
    return name == "/".join(parts) != "" and ".." not in parts and "\0" not in name
