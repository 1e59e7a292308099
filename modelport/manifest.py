"""`assets.extra/manifest.json`: what a later reader needs to know about a version.

The manifest is written by `modelport.staging` as the last file of a version. `content_digest` says what the version
computes (the exporter derives it from weights, signatures, labels and architecture), `files` what lies on the disk.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modelport.errors import DataLoss, from_os_error

SCHEMA = 1
RELATIVE_PATH = Path("assets.extra") / "manifest.json"


@dataclass(frozen=True)
class FileDigest:
    """One file of a version."""

    sha256: str
    size: int  # bytes


@dataclass(frozen=True)
class Manifest:
    """The facts about one version; the last four are filled in when the version is committed."""

    model: str
    content_digest: str = ""  # empty: the digest of all files is taken
    signatures: Mapping[str, Any] = field(default_factory=dict)  # name -> {"inputs"|"outputs": {alias: dtype, shape}}
    metrics: Mapping[str, float] = field(default_factory=dict)  # on held-out data
    data: Mapping[str, Any] = field(default_factory=dict)  # source and fingerprint of the training data
    training: Mapping[str, Any] = field(default_factory=dict)  # configuration that the model was trained with
    environment: Mapping[str, str] = field(default_factory=dict)  # versions of Python, TensorFlow, Keras, modelport
    proof: Mapping[str, Any] = field(default_factory=dict)  # verdict and figures of the proof before the commit
    row_independent: Sequence[str] = ()  # signatures whose rows were proven not to influence one another
    source_revision: str | None = None  # of the code that published
    parent_version: int | None = None  # the newest version when this one was made
    version: int = 0
    created: str = ""  # UTC, ISO 8601
    files: Mapping[str, FileDigest] = field(default_factory=dict)  # relative POSIX path -> digest, without this file

    def to_json(self) -> str:
        """The file's text: sorted keys, so that equal manifests are equal files."""
        return json.dumps({"schema": SCHEMA, **dataclasses.asdict(self)}, indent=2, sort_keys=True) + "\n"


def from_json(text: str, path: Path) -> Manifest:
    """Read a manifest's text; unknown keys of later schemas are ignored.

    Raises:
        DataLoss: the text is not a manifest; `path` is named in the message.
    """
    try:
        data = json.loads(text)
        known = {f.name for f in dataclasses.fields(Manifest)}
        fields = {key: value for key, value in data.items() if key in known}
        fields["files"] = {name: FileDigest(**digest) for name, digest in fields.get("files", {}).items()}
        return Manifest(**fields)
    except (ValueError, TypeError, AttributeError) as error:
        raise DataLoss(f"Expected a manifest in {str(path)!r}; it cannot be read: {error}.") from error


def read(version_path: Path) -> Manifest | None:
    """The manifest of the version in this folder, or None when it has none."""
    path = version_path / RELATIVE_PATH
    try:
        return from_json(path.read_text("utf-8"), path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise from_os_error(error, "read the manifest", path) from error


def digest_files(folder: Path) -> dict[str, FileDigest]:
    """Digest every file below a version's folder but the manifest itself, by relative POSIX path."""
    digests = {}
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if path.is_file() and relative != RELATIVE_PATH:
            with path.open("rb") as file:
                digests[relative.as_posix()] = FileDigest(
                    hashlib.file_digest(file, "sha256").hexdigest(), path.stat().st_size
                )
    return digests


def digest_of(files: Mapping[str, FileDigest]) -> str:
    """One digest of a set of files, by their names and contents."""
    lines = (f"{name}\0{file.sha256}\n" for name, file in sorted(files.items()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


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
        if not path.is_file():
            raise DataLoss(f"Expected the file {name!r} in {str(version_path)!r}; it is missing.")
        if path.stat().st_size != expected.size:
            raise DataLoss(
                f"Expected {expected.size} bytes in {name!r} of {str(version_path)!r}; found {path.stat().st_size}."
            )
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != expected.sha256:
                raise DataLoss(f"Expected {name!r} in {str(version_path)!r} to match its digest; it was changed.")
