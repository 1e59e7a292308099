"""What an action would do, and doing it: both by the functions that the commands call."""

from __future__ import annotations

from collections.abc import Callable

from modelport_console.changing.actions import Action, targets
from modelport_console.settings import Settings
from modelport_console.views import words
from modelport_release import collecting, promote, rollback
from modelport_release.promotion.planning import plan as promotion_plan
from modelport_release.promotion.rollback import version_before


def plan(settings: Settings, action: Action) -> list[str]:
    """Sentences on what would happen.

    Raises:
        ModelportError: it would be refused, and why.
    """
    repository, servers = targets(settings)
    model, config = action.model, settings.config
    match action.kind:
        case "pin":
            repository.version_path(model, action.version or 0)
            return [f"Version {action.version} is never collected until its pin is taken away."]
        case "unpin":
            repository.version_path(model, action.version or 0)
            return [f"Version {action.version} may be collected again when it is old and not in use."]
        case "gc":
            found = _collect(settings, action, dry_run=True)
            gone = ", ".join(map(str, found.versions))
            first = (
                f"Removed for good: version {gone} ({words.size(found.bytes)})."
                if gone
                else "Nothing would be removed."
            )
            return [first, *(f"Version {number} stays: {why}." for number, why in sorted(found.kept.items()))]
        case "rollback":
            version = version_before(model, repository=repository.root, config=config, label=action.label)
            told = promotion_plan(
                model, version, config=config, label=action.label, server=servers, repository=repository.root,
                keep_unlabelled=True,
            )  # fmt: skip
            return [f"By the history, version {version} was there before.", *told]
        case _:
            return promotion_plan(
                model,
                action.version,
                config=config,
                label=action.label if action.kind == "label" else None,
                unlabel=action.label if action.kind == "unlabel" else None,
                server=servers,
                repository=repository.root,
                keep_unlabelled=action.keep_unlabelled,
            )


def do(settings: Settings, action: Action, tell: Callable[[str], None]) -> str:
    """Do it, step by step; returns what is so now.

    Raises:
        ModelportError: it failed; `tell` was told what was put back.
    """
    repository, servers = targets(settings)
    model, why = action.model, action.why
    match action.kind:
        case "pin":
            collecting.pin(repository, model, action.version or 0, why)
            return f"Version {action.version} is pinned."
        case "unpin":
            collecting.unpin(repository, model, action.version or 0, why)
            return f"Version {action.version} is not pinned any more."
        case "gc":
            found = _collect(settings, action, dry_run=False, tell=tell)
            return f"Removed: {', '.join(map(str, found.versions)) or 'none'} ({words.size(found.bytes)})."
        case "rollback":
            version, _ = rollback(
                model, repository=repository.root, config=settings.config, label=action.label, server=servers, why=why,
                say=tell, on_step=tell,
            )  # fmt: skip
            return f"Back to version {version}."
        case _:
            promote(
                model,
                action.version,
                config=settings.config,
                label=action.label if action.kind == "label" else None,
                unlabel=action.label if action.kind == "unlabel" else None,
                server=servers,
                repository=repository.root,
                why=why,
                keep_unlabelled=action.keep_unlabelled,
                say=tell,
                on_step=tell,
            )
            return _done(action)


def _done(action: Action) -> str:
    if action.kind == "unlabel":
        return f"The label {action.label!r} is taken away."
    if action.kind == "label":
        return f"The label {action.label!r} is on version {action.version}."
    return "The newest version is live, always." if action.version is None else f"Version {action.version} is live."


def _collect(
    settings: Settings, action: Action, *, dry_run: bool, tell: Callable[[str], None] = lambda line: None
) -> collecting.Collected:
    repository, servers = targets(settings)
    configs = [] if settings.config is None else [settings.config]
    return collecting.collect(
        repository,
        action.model,
        action.keep,
        configs=configs,
        server=servers,
        dry_run=dry_run,
        why=action.why,
        say=tell,
    )
