"""Which version answers: promotion and roll back by a change of the server's configuration, without a restart.

The configuration file is the truth: a server that polls it would undo what it was only told over the wire. So each
step is written there first, and a running server is then told at once. If the version does not come up, the file is put
back.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from modelport import serverconfig
from modelport.configedit import change_file, model_of
from modelport.errors import DeadlineExceeded, InvalidArgument, ModelportError
from modelport.repository import Repository
from modelport.serverconfig import All, Latest, ModelConfig, Specific, VersionPolicy
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
    the version is loaded beside those that other labels point at, and the label is moved when it is available:
    TensorFlow Serving refuses to move a label to a version that is not.

    Args:
        model: its name in the configuration.
        version: the version; None for the newest.
        config: the ModelServerConfig file that the server reads.
        label: moved to the version.
        server: gRPC target that is told at once and waited for; None leaves it to the server's polling of the file.
        repository: the folder where the version must be; None where it cannot be looked at.
        timeout: seconds, for the server to have the version.

    Returns:
        What the file says of the model now.

    Raises:
        NotFound: no such model in the file, or no such version in the repository.
        InvalidArgument: labels that would be left without their version.
        ModelportError: the server does not take it, or the version does not come up; the file is as it was.
    """
    path = Path(config)
    before = model_of(serverconfig.parse_models(serverconfig.read(path), repr(str(path))), model, repr(str(path)))
    newest = _newest(model, version, repository)
    steps = _steps(before, version, label)
    deadline = time.monotonic() + timeout
    with _put_back_on_failure(path, before, server):
        for step in steps:
            change_file(path, step)
            if server is not None:
                _tell(server, path, step, version or newest, deadline)
    return steps[-1]


def _steps(before: ModelConfig, version: int | None, label: str | None) -> list[ModelConfig]:
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
    policy = before.policy if isinstance(before.policy, All) else Specific(tuple(sorted(set(labels.values()))))
    loaded = {*labels.values(), *before.labels.values()}
    beside = before.policy if isinstance(before.policy, All) else Specific(tuple(sorted(loaded)))
    return [dataclasses.replace(before, policy=beside), dataclasses.replace(before, policy=policy, labels=labels)]


def _newest(model: str, version: int | None, repository: Path | str | None) -> int | None:
    """The newest version in the repository, where it can be seen; a version that is asked for must be there."""
    if repository is None:
        return None
    found = Repository(repository)
    if version is not None:
        found.version_path(model, version)
    return max(found.versions(model), default=None)


def _tell(server: str, path: Path, model: ModelConfig, version: int | None, deadline: float) -> None:
    """Have the server reload; wait for the version, and for those that are no longer wanted to go."""
    with Client(server, timeout=max(deadline - time.monotonic(), 0.1)) as client:
        client.reload(serverconfig.parse_models(serverconfig.read(path)))
        client.wait_until_available(model.name, version, max(deadline - time.monotonic(), 0.1))
        if version is None or isinstance(model.policy, All):
            return
        wanted = model.policy.versions if isinstance(model.policy, Specific) else (version,)
        while any(one.state == "AVAILABLE" and one.version not in wanted for one in client.status(model.name)):
            if time.monotonic() > deadline:
                raise DeadlineExceeded(f"Expected version {version} of {model.name!r} alone at {server} by now.")
            time.sleep(_POLL_S)


@contextmanager
def _put_back_on_failure(path: Path, before: ModelConfig, server: str | None) -> Iterator[None]:
    try:
        yield
    except ModelportError:
        change_file(path, before)
        if server is not None:
            # The first error tells more; a server that comes back reads the file.
            with suppress(ModelportError), Client(server) as client:
                client.reload(serverconfig.parse_models(serverconfig.read(path)))
        raise
