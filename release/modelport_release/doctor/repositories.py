"""A base path, and a repository of several: whether the versions are where a server looks for them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from modelport import history, layout, live
from modelport.errors import ModelportError
from modelport.layout import parse_version
from modelport.repository import Repository
from modelport.serverconfig import Specific
from modelport_release.doctor import versions
from modelport_release.doctor.finding import Finding


def is_base_path(path: Path) -> bool:
    """Whether a folder is a model's base path, or would be one, and no repository of several."""
    if (path / layout.SAVED_MODEL).exists():
        return True
    children = [child for child in path.iterdir() if child.is_dir() and not child.name.startswith(".")]
    return any(parse_version(child.name) is not None or (child / layout.SAVED_MODEL).exists() for child in children)


def check_repository(root: Path, target: str | None = None) -> Iterator[Finding]:
    """Each model of a repository, and what its models.config says."""
    marked = (root / layout.MODELS_CONFIG).exists() or (root / layout.PROBED).exists()
    folders = [
        child
        for child in sorted(root.iterdir())
        if child.is_dir() and not child.name.startswith(".") and (marked or _has_versions(child))
    ]
    if not folders:
        yield Finding(
            "error", str(root), "It has no models.", "modelport publish RUN --name NAME --repository " + str(root)
        )
    for folder in folders:
        yield from check_base_path(folder, target)
    yield from _live(Repository(root))


def check_base_path(base: Path, target: str | None = None) -> Iterator[Finding]:
    """One model: the names of its versions, and each of them."""
    try:
        yield from _base_path(base, target)
    except OSError as error:
        yield versions.unreadable(base, error)


def _base_path(base: Path, target: str | None) -> Iterator[Finding]:
    if (base / layout.SAVED_MODEL).exists():
        number = parse_version(base.name)
        if number is not None:
            what, do = "It is a version, not the base path of a model.", f"Give the folder above: {base.parent}"
        else:
            what = "The SavedModel lies in the base path itself, where servers look for folders of numbers."
            do = f"mkdir {base}.new && mv {base} {base}.new/1 && mv {base}.new {base}"
        yield Finding("error", str(base), what, do)
        return
    numbers: dict[int, list[str]] = defaultdict(list)
    children, nested = sorted(base.iterdir()), False
    taken = [number for child in children if (number := parse_version(child.name)) is not None]
    allotted = (base / layout.ALLOTTED).read_text("utf-8").strip() if (base / layout.ALLOTTED).is_file() else ""
    free = max([*taken, *([int(allotted)] if allotted.isdecimal() else []), 0]) + 1
    for child in children:
        number = parse_version(child.name)
        if number is not None:
            numbers[number].append(child.name)
        elif (child / layout.SAVED_MODEL).exists() and not child.name.startswith("."):
            yield Finding(
                "error",
                str(child),
                f"{child.name!r} is no number, so no server looks at it.",
                f"mv {child} {base / str(free)}",
            )
        elif child.is_dir() and not child.name.startswith("."):
            found = list(_nested(base, child))
            nested = nested or bool(found)
            yield from found
    for number, names in numbers.items():
        if len(names) > 1:
            used, *others = reversed(names)
            yield Finding(
                "error",
                str(base),
                f"{' and '.join(map(repr, names))} are both version {number}; servers take {used!r}.",
                f"Rename the other: mv {base / others[0]} {base / str(free)}",
            )
    if not numbers and not nested:
        yield Finding(
            "error",
            str(base),
            "It has no version: no folder with a number.",
            f"modelport publish RUN --name {base.name}",
        )
    for path in layout.list_versions(base).values():
        yield from versions.check(path, target)
    try:
        history.read(base)
    except ModelportError as error:
        yield Finding("error", str(base / layout.HISTORY), error.message, "")


def _nested(base: Path, child: Path) -> Iterator[Finding]:
    inner = [one for one in child.iterdir() if one.is_dir() and parse_version(one.name) is not None]
    if any((one / layout.SAVED_MODEL).exists() for one in inner):
        yield Finding(
            "error",
            str(child),
            f"The versions are nested one level too deep: they are in {child.name!r} within the base path.",
            f"If {base} is a repository, look at it: modelport doctor {base}. If it is a model: mv {child}/* {base}/",
        )


def _has_versions(folder: Path) -> bool:
    """Whether it may be a model: a folder with a number in it, a SavedModel, or either one level deeper."""
    try:
        inner = [child for child in folder.iterdir() if child.is_dir()]
        return (folder / layout.SAVED_MODEL).exists() or any(
            parse_version(child.name) is not None
            or (child / layout.SAVED_MODEL).exists()
            or any(
                (one / layout.SAVED_MODEL).exists() for one in child.iterdir() if parse_version(one.name) is not None
            )
            for child in inner
        )
    except OSError:
        return True  # it will be told why


def _unwritten(repository: Repository, name: str, now: int | None) -> Iterator[Finding]:
    """What is live and what the history says differ: a change was killed, or somebody edited the file."""
    try:
        entries = history.read(repository.base_path(name))
    except ModelportError:
        return  # told elsewhere
    if entries and entries[-1].live is not None and entries[-1].live != now:
        yield Finding(
            "warning",
            str(repository.base_path(name)),
            f"Version {now} is live, and the history ends with version {entries[-1].live}: a change was not finished, "
            "or models.config was edited or lost.",
            f"modelport promote {name} {entries[-1].live}, or promote {name} {now} to keep it, and it is written down.",
        )


def _live(repository: Repository) -> Iterator[Finding]:
    path = repository.root / layout.MODELS_CONFIG
    for name in repository.models():
        try:
            config = live.model_config(repository, name)
        except ModelportError as error:
            yield Finding("error", str(path), error.message, "Put it right, or move it away: the newest are then live.")
            return
        numbers = repository.versions(name)
        yield from _unwritten(repository, name, live.live_version(config, numbers[-1]))
        for version in config.policy.versions if isinstance(config.policy, Specific) else ():
            if version not in numbers:
                yield Finding(
                    "error",
                    str(path),
                    f"Version {version} of {name!r} is to be served and is not there.",
                    f"modelport promote {name} {numbers[-1]}",
                )
        for label, version in config.labels.items():
            if version not in numbers:
                yield Finding(
                    "error",
                    str(path),
                    f"The label {label!r} of {name!r} is on version {version}, which is not there.",
                    f"modelport promote {name} {numbers[-1]} --label {label} (or --unlabel {label} alone)",
                )
