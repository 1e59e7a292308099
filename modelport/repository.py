"""The model repository: the on-disk contract between the exporter and every server, read and written.

`modelport.layout` draws it. A version is never changed once it is there; `modelport.staging` says how it comes there.
"""

from __future__ import annotations

import difflib
from pathlib import Path

from modelport import manifest as manifests
from modelport import marks, probe
from modelport.errors import FailedPrecondition, NotFound, from_os_error
from modelport.layout import check_name, list_versions, parse_version
from modelport.manifest import Manifest
from modelport.readable import make_folder
from modelport.staging import Staging

__all__ = ["Repository", "check_name", "list_versions", "parse_version"]


_NAMED = 10  # versions that a message names


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

    def unknown(self, model: str) -> str:
        """The refusal of a model that is not there, with those that are, the nearest names first."""
        models = self.models()
        near = difflib.get_close_matches(model, models, 3)
        known = ", ".join([*near, *(name for name in models if name not in near)][:10]) or "none"
        return f"Expected a model of {str(self.root)!r} ({known}). Received: {model!r}"

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
            newest = sorted(found, reverse=True)[:_NAMED]
            have = ", ".join(map(str, reversed(newest))) or "none"
            if len(found) > len(newest):
                have = f"the newest are {have}"
            aside = ""
            if version in marks.quarantined(base):
                aside = f", which is in quarantine; back with modelport quarantine {model}@{version} WHY --release."
            raise NotFound(
                f"Expected a version of model {model!r} in {str(self.root)!r} ({have}). Received: {version}{aside}"
            )
        return found[version]

    def read_manifest(self, model: str, version: int) -> Manifest | None:
        """The manifest of a version; None for a version that modelport did not publish."""
        return manifests.read(self.version_path(model, version))

    def newest_manifest(self, model: str) -> Manifest | None:
        """The manifest of the highest version; None when there is no version or it has none."""
        versions = self.versions(model)
        return self.read_manifest(model, versions[-1]) if versions else None

    def stage(self, model: str) -> Staging:
        """Begin a version: `with repository.stage("digits") as staging: … staging.commit(manifest)`.

        Raises:
            FailedPrecondition: the file system does not do what a repository rests on, see `modelport.probe`.
        """
        base = self.base_path(model)
        make_folder(self.root)
        probe.check(self.root)
        return Staging(base)
