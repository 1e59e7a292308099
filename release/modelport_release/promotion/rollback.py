"""Back to what was live before: by the history, not by guessing."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from modelport import history
from modelport.errors import FailedPrecondition, NotFound
from modelport.history import Entry
from modelport.live import live_version
from modelport.repository import Repository
from modelport.serverconfig import ModelConfig
from modelport_release.promotion.configuration import Configuration
from modelport_release.promotion.promoting import promote


def rollback(
    model: str,
    *,
    repository: Path | str,
    config: Path | str | None = None,
    label: str | None = None,
    to: int | None = None,
    server: str | None = None,
    why: str = "",
    say: Callable[[str], None] = lambda line: None,
    on_step: Callable[[str], None] = lambda line: None,
    timeout: float = 120.0,
) -> tuple[int, ModelConfig]:
    """Let the version answer that was live before the one that is.

    Args:
        model: its name.
        repository: where its versions and its history are.
        config: see `promote`.
        label: back to the version that this label was on before.
        to: back to this one, which must have been live, or have borne the label, before.
        server: see `promote`; None changes the file alone.
        why: kept in the history.
        say: see `promote`.
        on_step: see `promote`.
        timeout: seconds, for the server to have the version.

    Returns:
        The version, and what the file says of the model now.

    Raises:
        FailedPrecondition: the history knows of no version before, or it is gone.
        ModelportError: see `promote`.
    """
    version = version_before(model, repository=repository, config=config, label=label, to=to)
    return version, promote(
        model,
        version,
        config=config,
        label=label,
        server=server,
        repository=repository,
        why=why,
        action="rollback",
        keep_unlabelled=True,
        say=say,
        on_step=on_step,
        timeout=timeout,
    )


def version_before(
    model: str,
    *,
    repository: Path | str,
    config: Path | str | None = None,
    label: str | None = None,
    to: int | None = None,
) -> int:
    """The version that `rollback` goes back to; see there for the arguments.

    Raises:
        NotFound: no such model, or no such label.
        FailedPrecondition: the history knows of no version before, or it is gone.
    """
    found = Repository(repository)
    versions = found.versions(model)
    if not versions:
        raise NotFound(found.unknown(model))
    where = Configuration(config) if config is not None else Configuration.of_repository(repository)
    now = where.model(model)
    current = now.labels.get(label) if label is not None else live_version(now, max(versions))
    entries = history.read(found.base_path(model))
    if label is not None and label not in now.labels and not any(label in entry.labels for entry in entries):
        known = sorted({*now.labels, *(name for entry in entries for name in entry.labels)})
        near = difflib.get_close_matches(label, known, 1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise NotFound(f"Expected a label of {model!r} ({', '.join(known) or 'none'}). Received: {label!r}.{hint}")
    past = _before(entries, label, current)
    version = next((number for number in past if number in versions and to in (None, number)), None)
    if version is None:
        what = f"the label {label!r} was on" if label is not None else "was live"
        if to is not None:
            raise FailedPrecondition(
                f"Expected version {to} of {model!r} to be one that {what} before {current}. By its history it was "
                f"not. If it is meant: modelport promote {model} {to}."
            )
        raise FailedPrecondition(
            f"Expected the history of {model!r} to tell which version {what} before {current}. It has "
            f"{len(entries)} entries and no such version that is still there ({', '.join(map(str, versions))}). Say "
            f"which: modelport promote {model} VERSION."
        )
    return version


def _before(entries: Sequence[Entry], label: str | None, current: int | None) -> Iterator[int]:
    """Versions that were live, or bore the label, before the current one: the last one first."""
    states = [entry.live if label is None else entry.labels.get(label) for entry in entries]
    if states and states[-1] != current:  # what is served now was never written down: the last that was is the way back
        yield from (number for number in reversed(states) if number is not None and number != current)
        return
    places = [place for place, number in enumerate(states) if number == current]
    last = places[-1] if places else len(states)
    while last > 0 and states[last - 1] == current:
        last -= 1
    yield from (number for number in reversed(states[:last]) if number is not None and number != current)
