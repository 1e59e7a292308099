"""What a model's configuration goes through until it says what is wanted: pure functions of what it says now."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from modelport.errors import InvalidArgument, NotFound
from modelport.live import live_version
from modelport.serverconfig import All, Latest, ModelConfig, Specific, VersionPolicy, format_policy


def keep_live(
    steps: list[ModelConfig],
    before: ModelConfig,
    newest: int | None,
    keep: bool,
    say: Callable[[str], None],
) -> list[ModelConfig]:
    """The steps, with the version that answers requests without a label kept where that is wanted, else it is said."""
    aim, live = steps[-1], live_version(before, newest)
    after = live_version(aim, newest)
    if aim.labels == before.labels or after == live or live is None or not isinstance(aim.policy, Specific):
        return steps
    if keep:
        policy = Specific(tuple(sorted({*(n for n in aim.policy.versions if n < live), live, *aim.labels.values()})))
        if max(policy.versions) == live:
            return [*steps[:-1], dataclasses.replace(aim, policy=policy)]
    say(
        f"Requests of {aim.name!r} that name neither version nor label go to version {after} after this, and went to "
        f"{live} before."
        + (" --keep-unlabelled goes on serving that one." if after is not None and after < live else "")
    )
    return steps


def words(model: ModelConfig) -> str:
    """What a configuration says of a model, in a line."""
    labels = "".join(f"; {label} is version {model.labels[label]}" for label in sorted(model.labels))
    return f"{format_policy(model.policy)}{labels}"


def steps_to(
    before: ModelConfig, version: int | None, label: str | None, unlabel: str | None, newest: int | None
) -> list[ModelConfig]:
    """The configurations of the model to go through, the last one being the aim."""
    if unlabel is not None:
        return [_without(before, unlabel)]
    if label is None:
        alone: VersionPolicy = Latest() if version is None else Specific((version,))
        lost = sorted(name for name, number in before.labels.items() if number != version)
        if lost:
            raise InvalidArgument(
                f"Expected no label on other versions, because version {version or 'latest'} alone is to be served. "
                f"Received: {', '.join(f'{name} on {before.labels[name]}' for name in lost)}. Move them with --label, "
                "or take them away with --unlabel."
            )
        return [dataclasses.replace(before, policy=alone)]
    if version is None:
        raise InvalidArgument(f"Expected the number of a version for the label {label!r}.")
    labels = {**before.labels, label: version}
    if isinstance(before.policy, All):
        return [dataclasses.replace(before, labels=labels)]
    # What is served without a label stays: the versions that the policy names, or the newest.
    served = before.policy.versions if isinstance(before.policy, Specific) else (newest,)
    kept = {number for number in served if number is not None} - set(before.labels.values())
    beside = Specific(tuple(sorted({*kept, *before.labels.values(), version})))
    after = Specific(tuple(sorted({*kept, *labels.values()})))
    return [dataclasses.replace(before, policy=beside), dataclasses.replace(before, policy=after, labels=labels)]


def _without(before: ModelConfig, label: str) -> ModelConfig:
    """The model without a label; the version that bore it stays only where another label or nothing else is there."""
    if label not in before.labels:
        known = ", ".join(sorted(before.labels)) or "none"
        raise NotFound(f"Expected a label of {before.name!r} ({known}). Received: {label!r}")
    labels = {name: number for name, number in before.labels.items() if name != label}
    if not isinstance(before.policy, Specific):
        return dataclasses.replace(before, labels=labels)
    left = [n for n in before.policy.versions if n != before.labels[label] or n in labels.values()]
    return dataclasses.replace(before, policy=Specific(tuple(left) or before.policy.versions), labels=labels)


def refuse_unseen_move(before: ModelConfig, version: int | None, label: str | None) -> None:
    """In a file alone, a label can move to a version that is served already only: nobody waits for the others."""
    served = before.policy.versions if isinstance(before.policy, Specific) else ()
    if label in before.labels and version not in served and not isinstance(before.policy, All):
        raise InvalidArgument(
            f"Expected a server that can be asked whether version {version} is available before {label!r} moves to it: "
            "TensorFlow Serving would refuse the file. Do not give --file-only."
        )
