"""Which versions stay: pinned ones, and those in use; what else is old may go. And what no server sees any more."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from modelport import history, layout, live, marks
from modelport.errors import FailedPrecondition, InvalidArgument, NotFound, from_os_error
from modelport.history import Entry
from modelport.repository import Repository
from modelport.serverconfig import All, Latest, ModelConfig, Specific
from modelport_client import Client
from modelport_release.listing import size_of
from modelport_release.promotion.configuration import Configuration

_LOCK_S = 30.0  # to wait for somebody else's promotion


@dataclass(frozen=True)
class Collected:
    """What goes, or would go.

    Args:
        versions: that go, ascending.
        bytes: that are freed.
        kept: version → why it stays.
    """

    versions: Sequence[int]
    bytes: int
    kept: dict[int, str]


def collect(
    repository: Repository,
    model: str,
    keep: int,
    *,
    configs: Sequence[Path] = (),
    server: str | None = None,
    dry_run: bool = False,
    why: str = "",
    say: Callable[[str], None] = lambda line: None,
) -> Collected:
    """Remove the versions that are older than the newest `keep`, but none that is live, labelled or pinned.

    A version leaves in one rename, so that no server ever sees half of one.

    Args:
        repository: where the model is.
        model: its name.
        keep: how many of the newest stay.
        configs: further files that say what servers serve, beside the repository's own.
        server: is asked, too, or several with commas between: what they have loaded stays.
        dry_run: only say what would go.
        why: kept in the history.
        say: see `Configuration.locked`.

    Raises:
        InvalidArgument: keep is less than 1.
        FailedPrecondition: the policy says that all versions are served.
        ModelportError: the server cannot be asked, or the disk refuses.
    """
    if keep < 1:
        raise InvalidArgument(f"Expected to keep 1 version or more. Received: {keep}")
    where = Configuration.of_repository(repository.root)
    with where.locked(time.monotonic() + _LOCK_S, say):
        numbers = _versions(repository, model)
        kept = _kept(repository, model, numbers, keep, configs, server)
        gone = [number for number in numbers if number not in kept]
        size = sum(size_of(repository.version_path(model, number)) for number in gone)
        if not dry_run:
            history.check(repository.base_path(model))
            _sweep(repository.base_path(model))
            for number in gone:
                _remove(repository.version_path(model, number), number)
                _note(repository, model, "gc", number, why)
    return Collected(gone, size, kept)


def pin(repository: Repository, model: str, version: int, why: str) -> None:
    """Keep a version from being collected."""
    with _locked(repository):
        repository.version_path(model, version)
        history.check(repository.base_path(model))
        why = why or marks.pins(repository.base_path(model)).get(version, "")
        marks.pin(repository.base_path(model), version, why)
        _note(repository, model, "pin", version, why)


def unpin(repository: Repository, model: str, version: int, why: str) -> None:
    """Take the pin away."""
    with _locked(repository):
        history.check(_base(repository, model))
        marks.unpin(repository.base_path(model), version)
        _note(repository, model, "unpin", version, why)


def quarantine(
    repository: Repository,
    model: str,
    version: int,
    why: str,
    *,
    configs: Sequence[Path] = (),
    say: Callable[[str], None] = lambda line: None,
) -> int | None:
    """Take a version from where servers look: no policy serves it again.

    Returns:
        The version that answers requests without version or label after it.

    Raises:
        FailedPrecondition: a configuration names it, or it is the only one; the message says what to do first.
    """
    with Configuration.of_repository(repository.root).locked(time.monotonic() + _LOCK_S, say):
        path = repository.version_path(model, version)
        for config in _configs(repository, model, configs):
            named = config.policy.versions if isinstance(config.policy, Specific) else ()
            labels = sorted(label for label, bearer in config.labels.items() if bearer == version)
            if version in named or labels:
                what = f"bears the label {labels[0]!r}" if labels else "is named by the configuration"
                raise FailedPrecondition(
                    f"Expected a version of {model!r} that is not in use. Version {version} {what}. First "
                    f"modelport rollback {model}{f' --label {labels[0]}' if labels else ''}, or promote another."
                )
        left = [number for number in repository.versions(model) if number != version]
        if not left:
            raise FailedPrecondition(
                f"Expected another version of {model!r} that can answer. Version {version} is the only one: publish "
                "another first."
            )
        history.check(repository.base_path(model))
        marks.quarantine(path, version)
        _note(repository, model, "quarantine", version, why)
        return live.live_version(live.model_config(repository, model), max(left))


def release(repository: Repository, model: str, version: int, why: str) -> None:
    """Put a quarantined version back; a policy that takes the newest may serve it at once."""
    with _locked(repository):
        history.check(_base(repository, model))
        marks.release(repository.base_path(model), version)
        _note(repository, model, "release", version, why)


def _base(repository: Repository, model: str) -> Path:
    base = repository.base_path(model)
    if not base.is_dir():
        raise NotFound(repository.unknown(model))
    return base


def _locked(repository: Repository) -> AbstractContextManager[None]:
    return Configuration.of_repository(repository.root).locked(time.monotonic() + _LOCK_S)


def _kept(
    repository: Repository, model: str, numbers: Sequence[int], keep: int, configs: Sequence[Path], server: str | None
) -> dict[int, str]:
    kept: dict[int, str] = {}
    for config in _configs(repository, model, configs):
        if isinstance(config.policy, All):
            raise FailedPrecondition(
                f"Expected a policy of {model!r} that serves some versions. It serves all of them, so none may go: "
                f"promote one first (modelport promote {model} VERSION)."
            )
        newest = config.policy.num_versions if isinstance(config.policy, Latest) else 0
        served = config.policy.versions if isinstance(config.policy, Specific) else numbers[-newest:]
        kept |= dict.fromkeys(served, "live")
        kept |= {bearer: f"label {label}" for label, bearer in config.labels.items()}
    for target in server.split(",") if server is not None else ():
        with Client(target) as client:
            loaded = [state.version for state in client.status(model) if state.state in ("LOADING", "AVAILABLE")]
        kept = {**dict.fromkeys(loaded, f"loaded at {target}"), **kept}
    kept |= {number: f"pinned: {why}".rstrip(": ") for number, why in marks.pins(repository.base_path(model)).items()}
    return {**dict.fromkeys(numbers[-keep:], f"one of the newest {keep}"), **kept}


def _configs(repository: Repository, model: str, files: Sequence[Path]) -> list[ModelConfig]:
    """What each configuration says of the model, under whatever name; those that do not know it say nothing."""
    base = repository.base_path(model)
    own = repository.root / layout.MODELS_CONFIG
    found = [live.model_config(repository, model)]
    for file in [*([own] if own.exists() else []), *files]:
        found += [
            config
            for config in Configuration(file).read().models or ()
            if config.name == model or os.path.realpath(config.base_path) == os.path.realpath(base)
        ]
    return found


def _versions(repository: Repository, model: str) -> list[int]:
    numbers = repository.versions(model)
    if not numbers:
        raise NotFound(repository.unknown(model))
    return numbers


def _remove(path: Path, number: int) -> None:
    aside = path.parent / f"{layout.COLLECTED_PREFIX}{number}"
    try:
        path.rename(aside)
        if aside.is_symlink():
            aside.unlink()
        else:
            shutil.rmtree(aside)
    except OSError as error:
        raise from_os_error(error, "remove", path) from error


def _sweep(base: Path) -> None:
    """Remove what a collection that was killed left."""
    for child in base.iterdir():
        if not child.name.startswith(layout.COLLECTED_PREFIX):
            continue
        if child.is_symlink():
            child.unlink(missing_ok=True)
        else:
            shutil.rmtree(child, ignore_errors=True)


def _note(repository: Repository, model: str, action: str, version: int, why: str) -> None:
    config = live.model_config(repository, model)
    newest = max(repository.versions(model), default=None)
    entry = Entry(action, version, live.live_version(config, newest), dict(sorted(config.labels.items())), why=why)
    history.append(repository.base_path(model), entry)
