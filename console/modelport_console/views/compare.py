"""Two versions beside each other, as `modelport diff` has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelport.errors import FailedPrecondition
from modelport.manifest import Manifest
from modelport.repository import Repository
from modelport_console.views import words
from modelport_release import comparing
from modelport_release.comparing import Difference


@dataclass(frozen=True)
class Compared:
    """What differs, and tables of it: title and rows of a name, both values, and for a metric how much worse."""

    difference: Difference
    equal_content: bool
    metrics: Sequence[tuple[str, str, str, str]]
    tables: Sequence[tuple[str, Sequence[tuple[str, str, str]]]]


def read(repository: Repository, model: str, first: int, second: int) -> Compared:
    """Compare two versions.

    Raises:
        NotFound: there is no such version.
        FailedPrecondition: one was not published by modelport.
    """
    before, after = (_manifest(repository, model, number) for number in (first, second))
    found = comparing.compare(before, after)
    metrics = []
    for name, (one, two) in found.metrics.items():
        interval = found.intervals.get(name)
        told = words.NOTHING if interval is None else f"{interval[1]:+.3g} to {interval[2]:+.3g}"
        metrics.append((name, cell(one), cell(two), told))
    titled = (
        ("Cost", found.costs),
        ("Training", found.training),
        ("Data", found.data),
        ("Environment", found.environment),
    )
    tables = [(title, _rows(pairs)) for title, pairs in titled]
    return Compared(found, before.content_digest == after.content_digest, metrics, tables)


def cell(value: Any) -> str:
    """A value as it stands in a table."""
    return words.NOTHING if value is None else words.number(value) if isinstance(value, float) else str(value)


def _rows(pairs: Mapping[str, tuple[Any, Any]]) -> list[tuple[str, str, str]]:
    return [(name, cell(one), cell(two)) for name, (one, two) in pairs.items()]


def _manifest(repository: Repository, model: str, number: int) -> Manifest:
    manifest = repository.read_manifest(model, number)
    if manifest is None:
        raise FailedPrecondition(
            f"Expected a version that modelport published: it says what it is in its manifest. {model}@{number} has "
            "none, so it cannot be compared."
        )
    return manifest
