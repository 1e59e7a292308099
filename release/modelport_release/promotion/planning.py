"""What a promotion would do, told beforehand: the same steps from the same state, and nothing is changed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from modelport.live import live_version
from modelport.serverconfig import Latest, ModelConfig, Specific
from modelport_release.promotion.promoting import configuration_of, newest_of
from modelport_release.promotion.servers import Servers
from modelport_release.promotion.steps import keep_live, refuse_unseen_move, steps_to, words


def plan(
    model: str,
    version: int | None,
    *,
    config: Path | str | None = None,
    label: str | None = None,
    unlabel: str | None = None,
    server: str | None = None,
    repository: Path | str | None = None,
    keep_unlabelled: bool = False,
    timeout: float = 10.0,
) -> list[str]:
    """What `promote` with the same arguments would do, in sentences; `timeout` is of a call to a server.

    Raises:
        ModelportError: what `promote` would raise before it changes anything; files are not held against their digests.
    """
    lines: list[str] = []
    where = configuration_of(config, repository)
    before = where.model(model)
    newest = newest_of(model, version, repository)
    loaded: dict[str, list[int]] = {}
    if server is None:
        refuse_unseen_move(before, version, label)
    else:
        with Servers(server.split(","), timeout) as several:
            told = several.each(lambda client: client.status(model))
            for client, states in zip(several.clients, told, strict=True):
                loaded[client.target] = [one.version for one in states if one.state == "AVAILABLE"]
        newest = newest or max((number for numbers in loaded.values() for number in numbers), default=None)
    steps = steps_to(before, version, label, unlabel, newest)
    steps = keep_live(steps, before, newest, keep_unlabelled, lambda line: None)
    aim = steps[-1]
    if aim == before:
        return ["That is so already: nothing would be changed."]
    lines += _answers(before, aim, newest)
    lines += [f"{where.path.name} is changed to: {words(step)}" for step in steps if step != before]
    awaited = None if unlabel is not None else version or newest
    lines += [line for target, numbers in loaded.items() for line in _at(target, numbers, awaited, aim)]
    if server is None:
        lines.append("No server is told: those that poll the file take it up by themselves.")
    elif awaited is not None:
        lines.append(
            "If the version does not come up or does not answer its own samples, all is put back as it is now."
        )
    return lines


def _answers(before: ModelConfig, aim: ModelConfig, newest: int | None) -> list[str]:
    """Where requests go."""
    lines = []
    was, then = live_version(before, newest), live_version(aim, newest)
    if was != then:
        lines.append(f"Requests without version or label go to version {then}; they go to {was} now.")
    else:
        lines.append(f"Requests without version or label go to version {then}, as they do now.")
    for label in sorted({*before.labels, *aim.labels}):
        old, new = before.labels.get(label), aim.labels.get(label)
        if new is None:
            lines.append(f"Requests with the label {label!r} are refused; they go to version {old} now.")
        elif old != new:
            lines.append(
                f"Requests with the label {label!r} go to version {new}" + (f"; now to {old}." if old else ".")
            )
    return lines


def _at(target: str, numbers: Sequence[int], awaited: int | None, aim: ModelConfig) -> list[str]:
    lines = []
    if awaited is not None and awaited not in numbers:
        lines.append(f"{target} loads version {awaited}, and is asked the samples that it carries.")
    kept = set(aim.policy.versions) if isinstance(aim.policy, Specific) else {awaited}
    gone = sorted(set(numbers) - kept) if isinstance(aim.policy, Specific | Latest) and awaited is not None else []
    if gone:
        lines.append(f"{target} lets go of version {', '.join(map(str, gone))}.")
    return lines or [f"{target} is told at once."]
