"""What the repository holds, looked at again and again: what did not change is not read anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from modelport import history, layout, live
from modelport.errors import ModelportError
from modelport.history import Entry
from modelport.repository import Repository
from modelport.serverconfig import ModelConfig
from modelport_release.promotion.configuration import Configuration

_KEPT_ENTRIES = 5  # of a model's history: what the page of all models shows, and some to tell what is new


@dataclass(frozen=True)
class Published:
    """A model of the repository.

    Args:
        versions: ascending.
        live: that answers requests without version or label; None where it is not known.
        labels: label → version.
        entries: the last ones of its history, oldest first.
        fault: what of it cannot be read.
        stamp: changes when anything of it does.
    """

    versions: Sequence[int] = ()
    live: int | None = None
    labels: Mapping[str, int] = field(default_factory=dict)
    entries: Sequence[Entry] = ()
    fault: str = ""
    stamp: tuple[object, ...] = ()


class Shelf:
    """Looks at a repository; for one thread.

    Args:
        repository: to look at.
        config: the file of the servers, in place of the repository's own.
    """

    def __init__(self, repository: Repository, config: Path | None) -> None:
        self._repository = repository
        self._file = config or repository.root / layout.MODELS_CONFIG
        self._where = Configuration(config) if config is not None else Configuration.of_repository(repository.root)
        self._said: tuple[tuple[object, ...], Mapping[str, ModelConfig]] = ((), {})
        self._known: dict[str, Published] = {}

    def look(self) -> tuple[str, Mapping[str, Published]]:
        """What is wrong with all of it, and its models by name."""
        try:
            names = self._repository.models()
            if not self._repository.root.is_dir():
                return f"The repository {str(self._repository.root)!r} is not there.", {}
        except ModelportError as error:
            return error.message, {}
        fault = ""
        stamp = (_stamp(self._file), tuple(names))
        if stamp != self._said[0]:
            try:
                self._said = stamp, {model.name: model for model in self._where.read().models or ()}
            except ModelportError as error:
                fault, self._said = error.message, ((), {})
        self._known = {name: self._model(name) for name in names}
        return fault, self._known

    def _model(self, name: str) -> Published:
        base = self._repository.base_path(name)
        config = self._said[1].get(name)
        stamp = (_stamp(base), _stamp(base / layout.HISTORY), config)
        known = self._known.get(name)
        if known is not None and known.stamp == stamp:
            return known
        fault, entries, versions = "", [], []
        try:
            versions = self._repository.versions(name)
            entries = history.read(base)[-_KEPT_ENTRIES:]
        except ModelportError as error:
            fault = error.message
        newest = max(versions, default=None)
        answering = None if config is None else live.live_version(config, newest)
        return Published(versions, answering, {} if config is None else dict(config.labels), entries, fault, stamp)


def _stamp(path: Path) -> tuple[int, ...]:
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_ino, found.st_size, found.st_mtime_ns
