"""Which versions ought to be served: the disk, read through each model's version policy.

Each poll gives the full set of aspired versions of every model. The source remembers only what it need not look at or
say again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from modelport import manifest
from modelport.errors import ModelportError, NotFound
from modelport.manifest_cache import ManifestCache
from modelport.repository import list_versions
from modelport.serverconfig import All, Latest, ModelConfig, Specific, VersionPolicy

Aspired = dict[str, dict[int, Path]]
Complaints = dict[tuple[str | Path, str], str]  # what is amiss, and where → the line that says so


def choose(policy: VersionPolicy, found: Mapping[int, Path]) -> dict[int, Path]:
    """The versions that a policy wants of those that are there (ascending)."""
    match policy:
        case All():
            wanted = list(found)
        case Specific(versions):
            wanted = [version for version in found if version in versions]
        case Latest(number):
            wanted = list(found)[-max(number, 1) :]
    return {version: found[version] for version in wanted}


def _hint(base: Path) -> str:
    """What a folder without versions rather is."""
    try:
        if (base / "saved_model.pb").is_file():
            return f"This folder is a version itself: the base path may be meant to be {base.parent}."
        models = sorted(child.name for child in base.iterdir() if child.is_dir() and _has_versions(child))
    except OSError:
        models = []
    if models:
        return f"This folder holds models: the base path may be meant to be {base / models[0]}."
    return "Waiting for one."


def _has_versions(folder: Path) -> bool:
    try:
        return bool(list_versions(folder))
    except ModelportError:
        return False


class Source:
    """Polls the base paths of all configured models.

    Args:
        warn: takes one line for a person; what is amiss is said once until it stops being true.
    """

    def __init__(self, warn: Callable[[str], None]) -> None:
        self._warn = warn
        self._said: Complaints = {}
        self._manifests = ManifestCache()
        self._whole: set[Path] = set()

    def poll(self, models: Iterable[ModelConfig]) -> Aspired | None:
        """The aspired versions of every model, or None when a base path is missing.

        As in the real server a missing base path aborts the whole poll: nothing is loaded or unloaded until it is
        there. (A lost mount must not unload what serves.)
        """
        complaints: Complaints = {}
        aspired: Aspired = {}
        complete = True
        seen: set[Path] = set()
        for model in models:
            try:
                found = list_versions(Path(model.base_path))
            except ModelportError as error:
                hint = "Waiting for it to appear." if isinstance(error, NotFound) else error.message
                line = f"Could not read base path {model.base_path} of model {model.name!r}. {hint}"
                complaints[model.name, line] = line
                complete = False
                break
            seen |= set(found.values())
            if not found:
                line = (
                    f"No versions of model {model.name!r} under base path {model.base_path}: "
                    f"a version is a folder whose name is a number, such as '1'. {_hint(Path(model.base_path))}"
                )
                complaints[model.name, line] = line
            chosen = choose(model.policy, {v: path for v, path in found.items() if self._ready(path, complaints)})
            if isinstance(model.policy, Specific) and (gone := set(model.policy.versions) - set(chosen)):
                line = f"Model {model.name!r}: versions {sorted(gone)} are asked for but are not there."
                complaints[model.name, line] = line
            aspired[model.name] = chosen
        if complete:
            self._whole &= seen  # a version that went and comes again is looked at anew
            self._manifests.keep(seen - self._whole)
        for line in sorted(complaints[key] for key in complaints.keys() - self._said.keys()):
            self._warn(line)
        self._said = complaints
        return aspired if complete else None

    def _ready(self, path: Path, complaints: Complaints) -> bool:
        """Whether a version may be served: it has no manifest, or all files of its manifest at full size.

        A copy in progress is thereby waited for. A version that was ready stays so until it goes. Sizes only: digests
        are the publisher's business.
        """
        if path in self._whole:
            return True
        try:
            facts = self._manifests.read(path)
            missing = [] if facts is None else manifest.missing_files(path, facts)
        except ModelportError as error:
            line = f"Version {path} is not served until this is mended: {error.message}"
            complaints[path, line] = line
            return False
        if missing:  # said once, though with each file that comes another is the first one missing
            complaints[path, "waiting"] = (
                f"Waiting for {path}: files that its manifest lists are not there in full yet, {missing[0]!r} first."
            )
            return False
        self._whole.add(path)
        return True
