"""Which versions ought to be served: the disk, read through each model's version policy.

The source remembers nothing of what it said before: each poll gives the full set of aspired versions of every model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from modelport import manifest
from modelport.errors import ModelportError, NotFound
from modelport.repository import list_versions
from modelport.serverconfig import All, Latest, ModelConfig, Specific, VersionPolicy

Aspired = dict[str, dict[int, Path]]


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


def is_whole(version_path: Path) -> bool:
    """Whether a version that carries a manifest has all its files at full size; one without a manifest passes.

    A copy in progress is thereby waited for. Sizes only: digests are the publisher's and the doctor's business.
    """
    try:
        facts = manifest.read(version_path)
        if facts is None:
            return True
        paths = ((version_path / name, digest.size) for name, digest in facts.files.items())
        return all(path.is_file() and path.stat().st_size == size for path, size in paths)
    except (ModelportError, OSError, ValueError, RecursionError):
        return False  # the manifest itself is still being copied, or a file went away under our eyes


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
        warn: takes one line for a person; each distinct line is given once until it stops being true.
    """

    def __init__(self, warn: Callable[[str], None]) -> None:
        self._warn = warn
        self._said: set[str] = set()
        self._whole: set[Path] = set()

    def poll(self, models: Iterable[ModelConfig]) -> Aspired | None:
        """The aspired versions of every model, or None when a base path is missing.

        As in the real server a missing base path aborts the whole poll: nothing is loaded or unloaded until it is
        there. (A lost mount must not unload what serves.)
        """
        complaints: set[str] = set()
        aspired: Aspired = {}
        complete = True
        seen: set[Path] = set()
        for model in models:
            try:
                found = list_versions(Path(model.base_path))
            except ModelportError as error:
                hint = "Waiting for it to appear." if isinstance(error, NotFound) else error.message
                complaints.add(f"Could not read base path {model.base_path} of model {model.name!r}. {hint}")
                complete = False
                break
            seen |= set(found.values())
            if not found:
                complaints.add(
                    f"No versions of model {model.name!r} under base path {model.base_path}: "
                    f"a version is a folder whose name is a number, such as '1'. {_hint(Path(model.base_path))}"
                )
            chosen = choose(model.policy, {v: path for v, path in found.items() if self._ready(path, complaints)})
            if isinstance(model.policy, Specific) and (gone := set(model.policy.versions) - set(chosen)):
                complaints.add(f"Model {model.name!r}: versions {sorted(gone)} are asked for but are not there.")
            aspired[model.name] = chosen
        self._whole &= seen  # a version that went and comes again is looked at anew
        for line in sorted(complaints - self._said):
            self._warn(line)
        self._said = complaints
        return aspired if complete else None

    def _ready(self, path: Path, complaints: set[str]) -> bool:
        if path in self._whole:
            return True
        if is_whole(path):
            self._whole.add(path)
            return True
        complaints.add(f"Waiting for {path}: its manifest lists files that are not there in full yet.")
        return False
