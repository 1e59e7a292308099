"""Which version answers: promotion and roll back by a change of the server's configuration, without a restart.

The configuration file is the truth: a server that polls it would undo what it was only told over the wire. So each
step is written there first, and a running server is then told at once. If the version does not come up, the file is put
back.
"""

from __future__ import annotations

import dataclasses
import time
from contextlib import suppress
from pathlib import Path

from modelport import serverconfig
from modelport.errors import DeadlineExceeded, FailedPrecondition, InvalidArgument, ModelportError
from modelport.repository import Repository
from modelport.serverconfig import (
    All,
    Latest,
    ModelConfig,
    Specific,
    VersionPolicy,
    change_file,
    model_of,
    replace_text,
)
from modelport_client import Client

_POLL_S = 0.1


def promote(
    model: str,
    version: int | None,
    *,
    config: Path | str,
    label: str | None = None,
    server: str | None = None,
    repository: Path | str | None = None,
    timeout: float = 120.0,
) -> ModelConfig:
    """Let one version answer, or give it a label.

    Without a label the version alone is served, whatever is newer; None goes back to "always the newest". With a label
    the version is loaded beside those that are served, and the label is moved when it is available: TensorFlow Serving
    refuses to move a label to a version that is not. What no label bears any more goes, once the label has moved.

    Args:
        model: its name in the configuration.
        version: the version; None for the newest.
        config: the ModelServerConfig file that the server was started with.
        label: moved to the version.
        server: gRPC target that is told at once and waited for; None leaves it to the server's polling of the file.
        repository: the folder where the version must be; None where it cannot be looked at.
        timeout: seconds, for the server to have the version.

    Returns:
        What the file says of the model now.

    Raises:
        NotFound: no such model in the file, or no such version in the repository.
        InvalidArgument: labels that would be left without their version.
        Unavailable: there is no such server; nothing was changed.
        DeadlineExceeded: versions that are not wanted any more are still there; it is done but for that.
        ModelportError: the server does not take it, or the version does not come up; the file is as it was.
    """
    path = Path(config)
    text = serverconfig.read(path)
    before = model_of(serverconfig.parse_models(text, repr(str(path))), model, repr(str(path)))
    newest = _newest(model, version, repository)
    deadline = time.monotonic() + timeout
    if server is None:
        _refuse_unseen_move(before, version, label)
        aim = _steps(before, version, label, newest)[-1]
        change_file(path, aim)
        return aim
    with Client(server, timeout=timeout) as client:
        states = client.status(model)
        newest = newest or max((one.version for one in states if one.state == "AVAILABLE"), default=None)
        steps = _steps(before, version, label, newest)
        try:
            for step in steps:
                change_file(path, step)
                _tell(client, path, step.name, version or newest, deadline)
        except BaseException:
            replace_text(path, text)
            # The first error tells more; a server that comes back reads the file.
            with suppress(ModelportError):
                client.reload(serverconfig.parse_models(text))
            raise
        _wait_for_the_others_to_go(client, steps[-1], version or newest, deadline)
    return steps[-1]


def _steps(before: ModelConfig, version: int | None, label: str | None, newest: int | None) -> list[ModelConfig]:
    """The configurations of the model to go through, the last one being the aim."""
    if label is None:
        alone: VersionPolicy = Latest() if version is None else Specific((version,))
        lost = sorted(name for name, number in before.labels.items() if number != version)
        if lost:
            raise InvalidArgument(
                f"Expected no label on other versions, because version {version or 'latest'} alone is to be served. "
                f"Received: {', '.join(f'{name} on {before.labels[name]}' for name in lost)}. Move them with --label."
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


def _refuse_unseen_move(before: ModelConfig, version: int | None, label: str | None) -> None:
    """In a file alone, a label can move to a version that is served already only: nobody waits for the others."""
    served = before.policy.versions if isinstance(before.policy, Specific) else ()
    if label in before.labels and version not in served and not isinstance(before.policy, All):
        raise InvalidArgument(
            f"Expected a server that can be asked whether version {version} is available before {label!r} moves to it: "
            "TensorFlow Serving would refuse the file. Do not give --file-only."
        )


def _newest(model: str, version: int | None, repository: Path | str | None) -> int | None:
    """The newest version in the repository, where it can be seen; a version that is asked for must be there."""
    if repository is None:
        return None
    found = Repository(repository)
    if version is not None:
        found.version_path(model, version)
    return max(found.versions(model), default=None)


def _tell(client: Client, path: Path, model: str, version: int | None, deadline: float) -> None:
    """Have the server reload, and wait for the version."""
    states = client.status(model)
    failed_before = any(one.version == version and one.state == "END" and one.code for one in states)
    client.reload(serverconfig.parse_models(serverconfig.read(path)))
    try:
        client.wait_until_available(model, version, max(deadline - time.monotonic(), 0.1))
    except FailedPrecondition as error:
        if not failed_before:
            raise
        raise FailedPrecondition(
            f"{error.message} That was before now: a server does not try a number twice. Publish it again, which gives "
            "it the next number, or restart the server."
        ) from error


def _wait_for_the_others_to_go(client: Client, model: ModelConfig, version: int | None, deadline: float) -> None:
    if version is None or isinstance(model.policy, All):
        return
    wanted = model.policy.versions if isinstance(model.policy, Specific) else (version,)
    while any(one.state == "AVAILABLE" and one.version not in wanted for one in client.status(model.name, timeout=5)):
        if time.monotonic() > deadline:
            raise DeadlineExceeded(f"Expected {list(wanted)} alone of {model.name!r} at {client.target} by now.")
        time.sleep(_POLL_S)
