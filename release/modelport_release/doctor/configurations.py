"""A models.config: whether what it names is there."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from pathlib import Path

from modelport import layout, serverconfig
from modelport.errors import ModelportError
from modelport.serverconfig import ModelConfig, Specific
from modelport_release.doctor import repositories
from modelport_release.doctor.finding import Finding

# A path of the configuration as a path of this machine; None where nothing of this machine is there.
Places = Callable[[str], Path | None]


def here(path: str) -> Path | None:
    """Where the server runs on this machine, outside of a container."""
    return Path(path)


def in_repository(root: Path) -> Places:
    """The places of a repository's own file: it names them as a container has them."""
    return lambda path: root / path.removeprefix(f"{layout.CONTAINER_ROOT}/")


def check(file: Path, places: Places = here, target: str | None = None) -> Iterator[Finding]:
    """What a configuration says, held against the disk.

    Args:
        file: the ModelServerConfig.
        places: see `Places`.
        target: see `versions.check`.
    """
    try:
        models = serverconfig.parse_models(serverconfig.read(file), repr(str(file))).models or ()
    except ModelportError as error:
        yield Finding("error", str(file), error.message, "")
        return
    names: set[str] = set()
    for model in models:
        if model.name in names:
            yield Finding(
                "error", str(file), f"It has two models {model.name!r}: no server starts.", "Take one of them out."
            )
        names.add(model.name)
        yield from _model(file, model, places, target)


def _model(file: Path, model: ModelConfig, places: Places, target: str | None) -> Iterator[Finding]:
    if not model.base_path.startswith("/"):
        if "://" not in model.base_path:
            yield Finding(
                "error",
                str(file),
                f"The base path of {model.name!r} is relative: {model.base_path!r}. No server starts with it.",
                f"Write {str((file.parent / model.base_path).resolve())!r}, or where a container has it.",
            )
        return
    place = places(model.base_path)
    if place is None:
        yield Finding(
            "error",
            str(file),
            f"The base path of {model.name!r}, {model.base_path!r}, is not mounted into the container.",
            "Add the folder to the volumes of docker-compose.yml, or put the base path right.",
        )
        return
    if not place.is_dir():
        folder = place.parent
        near = difflib.get_close_matches(place.name, [c.name for c in folder.iterdir()] if folder.is_dir() else [], 1)
        hint = f" There is {near[0]!r}." if near else ""
        yield Finding(
            "error",
            str(file),
            f"The model {model.name!r} is missing: there is no folder {str(place)!r}.{hint}",
            f"Put its base path right, or publish it: modelport publish RUN --name {place.name}",
        )
        return
    yield from repositories.check_base_path(place, target)
    numbers = layout.list_versions(place)
    served = model.policy.versions if isinstance(model.policy, Specific) else ()
    for version in served:
        if version not in numbers:
            yield Finding(
                "error",
                str(file),
                f"Version {version} of {model.name!r} is to be served and is not there.",
                _promote(model),
            )
    for label, version in model.labels.items():
        if version not in numbers:
            what = f"The label {label!r} of {model.name!r} is on version {version}, which is not there."
            yield Finding("error", str(file), what, _promote(model, label))
        elif isinstance(model.policy, Specific) and version not in served:
            what = f"The label {label!r} of {model.name!r} is on version {version}, which the policy does not load."
            yield Finding("error", str(file), what, _promote(model, label, version))


def _promote(model: ModelConfig, label: str = "", version: int | None = None) -> str:
    flag = f" --label {label}" if label else ""
    return f"modelport promote {model.name} {version or 'VERSION'}{flag}"
