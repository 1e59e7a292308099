"""The names in a model repository: models, version numbers, and the path of every file that has one.

    models/                          the repository
    ├── models.config                what is live; without it the newest version of each model
    ├── .probed                      its file system was tried (`modelport.probe`)
    └── digits/                      a model: its base path; the name is one path segment
        ├── 1/                       a version, never changed once it is there
        │   ├── saved_model.pb
        │   ├── variables/
        │   ├── assets/
        │   └── assets.extra/
        │       ├── manifest.json                 `modelport.manifest`
        │       ├── report.md                     the proof, for a person
    │       ├── report.html                   the verdict, for a person with a browser
        │       ├── request.json                  a request of one row over REST
    │       ├── evaluation.npz                held-out rows (`modelport.evaluation_rows`), unless they are kept out
        │       └── tf_serving_warmup_requests    replayed before the version answers
        ├── 2/
        ├── history.jsonl            what was done with its versions (`modelport.history`)
        ├── .pinned-2                version 2 is never collected; the file says why (`modelport.marks`)
        ├── .quarantined-4/          version 4, which no server sees any more
        ├── .allotted                the last number given out; the lock under which numbers are given
        └── .staging-x7k2p9/         a version in the making (`modelport.staging`); no server looks at it

Reading is as lenient as the real server: every child whose name parses as an integer is a version, so `00000123` is
version 123. Writing is canonical: plain decimals. Source: `file_system_storage_path_source.cc` of TensorFlow Serving.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from modelport.errors import InvalidArgument, from_os_error

# Relative to a version's folder.
SAVED_MODEL = Path("saved_model.pb")
VARIABLES = Path("variables")
ASSETS = Path("assets")
EXTRA = Path("assets.extra")
MANIFEST = EXTRA / "manifest.json"
REPORT = EXTRA / "report.md"
HTML_REPORT = EXTRA / "report.html"
REQUEST = EXTRA / "request.json"
EVALUATION = EXTRA / "evaluation.npz"
WARMUP_REQUESTS = EXTRA / "tf_serving_warmup_requests"
# Relative to the repository.
MODELS_CONFIG = Path("models.config")
CONTAINER_ROOT = "/models"  # where a container has the repository; the root of the base paths in that file
PROBED = ".probed"
# Relative to a base path.
ALLOTTED = Path(".allotted")
HISTORY = Path("history.jsonl")
STAGING_PREFIX = ".staging-"
PINNED_PREFIX = ".pinned-"
QUARANTINED_PREFIX = ".quarantined-"
COLLECTED_PREFIX = ".collected-"  # a version that is being removed

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
# What absl::SimpleAtoi takes: surrounding ASCII white space, a sign, decimal digits; within int64.
_INTEGER = re.compile(r"[ \t\n\v\f\r]*[+-]?[0-9]+[ \t\n\v\f\r]*", re.ASCII)


def check_name(name: str) -> str:
    """Return the model name if we may write under it.

    Raises:
        InvalidArgument: it is not one plain path segment (a slash, `..`, a leading dot, white space, too long).
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidArgument(
            "Expected a model name of letters, digits, '_', '-' and '.', beginning with a letter or digit, at most 128 "
            f"long, because it becomes a folder and part of a URL. Received: {name!r}"
        )
    return name


def parse_reference(text: str) -> tuple[str, int | None, str | None]:
    """`digits`, `digits@3` or `digits@stable` as a name, a version and a label.

    Raises:
        InvalidArgument: another form.
    """
    name, mark, which = text.partition("@")
    if not name or (mark and not which):
        raise InvalidArgument(f"Expected NAME, NAME@VERSION or NAME@LABEL. Received: {text!r}")
    if which.isdecimal():
        return name, int(which), None
    return name, None, which or None


def parse_version(name: str) -> int | None:
    """The version that the real server reads from a child's name, or None when it skips the child."""
    if not _INTEGER.fullmatch(name):
        return None
    version = int(name)
    return version if -(2**63) <= version < 2**63 else None


def versions_among(names: Iterable[str]) -> dict[int, str]:
    """The versions among the names of a base path's children, ascending, each with its name.

    Of several names for one number (`1`, `001`) the last in lexicographic order wins.
    """
    found = {version: name for name in sorted(names) if (version := parse_version(name)) is not None}
    return dict(sorted(found.items()))


def list_versions(base_path: Path) -> dict[int, Path]:
    """The versions under a model's base path as the real server sees them, ascending: `versions_among`, on the disk.

    Files count as well as folders: a server that is given one will fail to load it and say so.

    Raises:
        NotFound, FailedPrecondition, PermissionDenied: the base path is missing, no folder, or unreadable.
    """
    try:
        names = [child.name for child in base_path.iterdir()]
    except OSError as error:
        raise from_os_error(error, "list the versions under", base_path) from error
    return {version: base_path / name for version, name in versions_among(names).items()}
