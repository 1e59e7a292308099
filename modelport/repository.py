"""The model repository: the on-disk contract between the exporter and every server.

    models/                          Repository.root
    └── digits/                      a model; its name is one path segment
        ├── 1/                       a version, never changed once it is there
        │   ├── saved_model.pb
        │   ├── variables/
        │   ├── assets/
        │   └── assets.extra/
        │       ├── manifest.json                 `modelport.manifest`
        │       └── tf_serving_warmup_requests
        ├── 2/
        ├── .allotted                the last number given out; the lock under which numbers are given
        └── .staging-x7k2p9/         a version in the making (`modelport.staging`); no server looks at it

Reading is as lenient as the real server: every child whose name parses as an integer is a version, so `00000123` is
version 123. Writing is canonical: plain decimals. Source: `file_system_storage_path_source.cc` of TensorFlow Serving.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from modelport import manifest as manifests
from modelport.errors import FailedPrecondition, InvalidArgument, NotFound, from_os_error
from modelport.manifest import Manifest

if TYPE_CHECKING:
    from modelport.staging import Staging

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


def parse_version(name: str) -> int | None:
    """The version that the real server reads from a child's name, or None when it skips the child."""
    if not _INTEGER.fullmatch(name):
        return None
    version = int(name)
    return version if -(2**63) <= version < 2**63 else None


def list_versions(base_path: Path) -> dict[int, Path]:
    """The versions under a model's base path as the real server sees them, ascending.

    Of several names for one number (`1`, `001`) the last in lexicographic order wins. Files count as well as folders:
    a server that is given one will fail to load it and say so.

    Raises:
        NotFound, FailedPrecondition, PermissionDenied: the base path is missing, no folder, or unreadable.
    """
    try:
        names = sorted(child.name for child in base_path.iterdir())
    except OSError as error:
        raise from_os_error(error, "list the versions under", base_path) from error
    found = {version: base_path / name for name in names if (version := parse_version(name)) is not None}
    return dict(sorted(found.items()))


class Repository:
    """A folder of models. Holds no state: every call looks at the disk.

    Args:
        root: the folder; made on the first `stage`.

    Raises:
        FailedPrecondition: `root` is there but is no folder.
    """

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root).absolute()
        if self.root.exists() and not self.root.is_dir():
            raise FailedPrecondition(
                f"Expected the model repository to be a folder. Received: {str(self.root)!r}, which is a file."
            )

    def models(self) -> list[str]:
        """The names of all models that have at least one version, sorted."""
        if not self.root.is_dir():
            return []
        try:
            folders = sorted(child.name for child in self.root.iterdir() if child.is_dir() and child.name[0] != ".")
        except OSError as error:
            raise from_os_error(error, "list the models in", self.root) from error
        return [name for name in folders if list_versions(self.root / name)]

    def base_path(self, model: str) -> Path:
        """The folder that holds a model's versions; what `--model_base_path` takes."""
        return self.root / check_name(model)

    def versions(self, model: str) -> list[int]:
        """The version numbers of a model, ascending; empty when there is no such model."""
        base = self.base_path(model)
        return list(list_versions(base)) if base.is_dir() else []

    def version_path(self, model: str, version: int) -> Path:
        """The folder of one version.

        Raises:
            NotFound: there is no such version; the message lists those that are there.
        """
        base = self.base_path(model)
        found = list_versions(base) if base.is_dir() else {}
        if version not in found:
            have = ", ".join(map(str, found)) or "none"
            raise NotFound(f"Expected a version of model {model!r} in {str(self.root)!r} ({have}). Received: {version}")
        return found[version]

    def read_manifest(self, model: str, version: int) -> Manifest | None:
        """The manifest of a version; None for a version that modelport did not publish."""
        return manifests.read(self.version_path(model, version))

    def newest_manifest(self, model: str) -> Manifest | None:
        """The manifest of the highest version; None when there is no version or it has none."""
        versions = self.versions(model)
        return self.read_manifest(model, versions[-1]) if versions else None

    def stage(self, model: str) -> Staging:
        """Begin a version: `with repository.stage("digits") as staging: … staging.commit(manifest)`."""
        from modelport.staging import Staging

        return Staging(self, check_name(model))
