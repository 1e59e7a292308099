"""What can be asked for, checked, and what the same command is."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modelport.errors import FailedPrecondition, InvalidArgument
from modelport.repository import Repository
from modelport_console.settings import Settings

KINDS = ("promote", "label", "unlabel", "rollback", "pin", "unpin", "gc")
_NEED_VERSION = ("label", "pin", "unpin")
_NEED_LABEL = ("label", "unlabel")
_MOST_TEXT = 2000  # characters of a reason; a history's line has room for more


@dataclass(frozen=True)
class Action:
    """A change of one model.

    Args:
        kind: one of KINDS.
        model: its name.
        version: None for the newest, where a promotion may be of that.
        label: is moved, taken away, or goes back.
        keep: how many of the newest a collection leaves.
        keep_unlabelled: see `promote`.
        why: kept in the history.
    """

    kind: str
    model: str
    version: int | None = None
    label: str | None = None
    keep: int = 0
    keep_unlabelled: bool = False
    why: str = ""


def read(model: str, found: Any) -> Action:
    """An action as a page sends it.

    Raises:
        InvalidArgument: something is missing or of another kind.
    """
    if not isinstance(found, dict) or found.get("action") not in KINDS:
        raise InvalidArgument(f"Expected an action of {', '.join(KINDS)}. Received: {str(found)[:80]}")
    kind, version = found["action"], _number(found, "version")
    label, why = (_text(found, name) for name in ("label", "why"))
    if kind in _NEED_VERSION and version is None:
        raise InvalidArgument(f"Expected the number of a version to {kind}.")
    if kind in _NEED_LABEL and not label:
        raise InvalidArgument("Expected a label: a name such as 'stable' or 'canary'.")
    return Action(
        kind, model, version, label or None, _number(found, "keep") or 0, found.get("keep_unlabelled") is True, why
    )


def targets(settings: Settings) -> tuple[Repository, str]:
    """The repository and the servers that a change is made at.

    Raises:
        FailedPrecondition: one of them is missing.
    """
    if settings.repository is None:
        raise FailedPrecondition("Expected a repository to change: modelport console REPOSITORY --server HOST:PORT.")
    told = settings.grpc_targets
    if told is None:
        raise FailedPrecondition(
            "Expected the gRPC ports of all servers: REST has no call to change them. Give --server HOST:PORT."
        )
    return settings.repository, told


def command(settings: Settings, action: Action) -> str:
    """The line that does the same in a terminal."""
    repository, servers = targets(settings)
    at = ["--repository", str(repository.root)]
    changing = [*at, "--server", servers] + (["--config", str(settings.config)] if settings.config else [])
    why = ["--why", action.why or "…"]
    which = f"{action.model}@{action.version}"
    match action.kind:
        case "promote" if action.version is None:
            words = ["promote", action.model, "latest", *why, *changing]
        case "promote":
            words = ["promote", which, *why, *changing]
        case "label":
            keep = ["--keep-unlabelled"] if action.keep_unlabelled else []
            words = ["promote", which, "--label", action.label or "", *keep, *why, *changing]
        case "unlabel":
            words = ["promote", action.model, "--unlabel", action.label or "", *why, *changing]
        case "rollback":
            label = ["--label", action.label] if action.label else []
            words = ["rollback", action.model, *label, *why, *changing]
        case "gc":
            config = ["--config", str(settings.config)] if settings.config else []
            words = ["gc", action.model, "--keep", str(action.keep), *why, *at, "--server", servers, *config]
        case _:
            words = [action.kind, which, action.why or "…", *at]
    return shlex.join(["modelport", *words])


def _number(found: Mapping[str, Any], name: str) -> int | None:
    value = found.get(name)
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0):
        return value
    raise InvalidArgument(f"Expected a whole number for {name!r}. Received: {value!r}")


def _text(found: Mapping[str, Any], name: str) -> str:
    value = found.get(name, "")
    if not isinstance(value, str) or len(value) > _MOST_TEXT or not value.isprintable():
        raise InvalidArgument(f"Expected a line of at most {_MOST_TEXT} characters for {name!r}.")
    return value.strip()
