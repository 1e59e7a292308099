"""What a repository holds: its models, and the versions of one."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from modelport import live, marks
from modelport.errors import ModelportError, NotFound
from modelport.layout import parse_reference
from modelport.manifest import Manifest
from modelport.repository import Repository


@dataclass(frozen=True)
class Model:
    """One model; `live` is None where the repository does not tell, `bytes` are of all versions."""

    name: str
    live: int | None
    labels: Mapping[str, int]
    newest: int
    versions: int
    bytes: int
    created: str  # of the newest version; empty where it does not say


@dataclass(frozen=True)
class Version:
    """One version; what a foreign one does not say is empty."""

    number: int
    is_live: bool
    labels: tuple[str, ...]
    verdict: str
    metrics: Mapping[str, float]
    bytes: int
    created: str
    pinned: str | None  # why, and None where it is not
    fault: str  # why its manifest cannot be read


def models(repository: Repository) -> list[Model]:
    """All models, by name."""
    found = []
    for name in repository.models():
        numbers = repository.versions(name)
        config = live.model_config(repository, name)
        facts = _facts(repository, name, numbers[-1])[0]
        size = sum(size_of(repository.version_path(name, number)) for number in numbers)
        created = facts.created if facts is not None else ""
        live_one = live.live_version(config, numbers[-1])
        found.append(Model(name, live_one, dict(config.labels), numbers[-1], len(numbers), size, created))
    return found


def versions(repository: Repository, model: str) -> list[Version]:
    """The versions of a model, the newest first.

    Raises:
        NotFound: there is no such model; the message has those that are there.
    """
    numbers = repository.versions(model)
    if not numbers:
        raise NotFound(repository.unknown(model))
    config = live.model_config(repository, model)
    answering = live.live_version(config, numbers[-1])
    pinned = marks.pins(repository.base_path(model))
    found = []
    for number in reversed(numbers):
        facts, fault = _facts(repository, model, number)
        labels = tuple(sorted(label for label, bearer in config.labels.items() if bearer == number))
        found.append(
            Version(
                number,
                number == answering,
                labels,
                str(facts.proof.get("verdict", "")) if facts is not None else "",
                facts.metrics if facts is not None else {},
                size_of(repository.version_path(model, number)),
                facts.created if facts is not None else "",
                pinned.get(number),
                fault,
            )
        )
    return found


def resolve(repository: Repository, text: str) -> tuple[str, int | None]:
    """`digits`, `digits@3` or `digits@stable` as a model and a version; None for the model alone.

    Raises:
        InvalidArgument: another form.
        NotFound: no such model, version or label; the message has those that are there.
    """
    name, version, label = parse_reference(text)
    numbers = repository.versions(name)
    if not numbers:
        raise NotFound(repository.unknown(name))
    labels = live.model_config(repository, name).labels
    if label is not None:
        if label not in labels:
            near = difflib.get_close_matches(label, labels, 1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            known = ", ".join(sorted(labels)) or "none"
            raise NotFound(f"Expected a label of {name!r} ({known}). Received: {label!r}.{hint}")
        version = labels[label]
    if version is not None:
        repository.version_path(name, version)
    return name, version


def resolve_version(repository: Repository, text: str) -> tuple[str, int]:
    """See `resolve`; the model alone stands for its live version, else its newest.

    Raises:
        InvalidArgument, NotFound: see `resolve`.
    """
    name, version = resolve(repository, text)
    if version is not None:
        return name, version
    newest = repository.versions(name)[-1]
    return name, live.live_version(live.model_config(repository, name), newest) or newest


def size_of(folder: Path) -> int:
    """Bytes of all files below a folder; those that go away meanwhile are passed over."""
    total = 0
    try:
        with os.scandir(folder) as entries:  # a third of what pathlib takes, for a thousand versions
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    total += size_of(Path(entry.path))
                else:
                    total += entry.stat(follow_symlinks=False).st_size
    except OSError:
        return total
    return total


def age(created: str, now: datetime | None = None) -> str:
    """How long ago, in the largest unit: `3 d`; empty where nobody says."""
    try:
        seconds = ((now or datetime.now(UTC)) - datetime.fromisoformat(created)).total_seconds()
    except (TypeError, ValueError):
        return ""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def _facts(repository: Repository, model: str, number: int) -> tuple[Manifest | None, str]:
    try:
        return repository.read_manifest(model, number), ""
    except ModelportError as error:
        return None, error.message
