"""Which version answers: promotion by a change of the server's configuration, without a restart.

The configuration file is the truth: a server that polls it would undo what it was only told over the wire. So each
step is written there first, and a running server is then told at once. If the version does not come up, what the file
said of this model is put back, and nothing else. Every change is a line in the model's history.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from modelport import history, layout
from modelport import manifest as manifests
from modelport.errors import DeadlineExceeded, FailedPrecondition, ModelportError, NotFound
from modelport.live import live_version
from modelport.repository import Repository
from modelport.serverconfig import All, ModelConfig, ServerConfig, Specific
from modelport_client import Client
from modelport_release.promotion import own_samples
from modelport_release.promotion.configuration import Configuration
from modelport_release.promotion.servers import Servers
from modelport_release.promotion.steps import keep_live, refuse_unseen_move, steps_to, words

_POLL_S = 0.2  # between two looks whether what is not wanted any more has gone
_OLD_NEWS_S = 5.0  # for which a server may still tell of an attempt that failed before it was told to load again


def promote(
    model: str,
    version: int | None,
    *,
    config: Path | str | None = None,
    label: str | None = None,
    unlabel: str | None = None,
    server: str | None = None,
    repository: Path | str | None = None,
    why: str = "",
    action: str = "promote",
    keep_unlabelled: bool = False,
    say: Callable[[str], None] = lambda line: None,
    on_step: Callable[[str], None] = lambda line: None,
    timeout: float = 120.0,
) -> ModelConfig:
    """Let one version answer, or give it a label, or take a label away.

    Without a label the version alone is served, whatever is newer; None goes back to "always the newest". With a label
    the version is loaded beside those that are served, and the label is moved when it is available: TensorFlow Serving
    refuses to move a label to a version that is not. What no label bears any more goes, once the label has moved.

    Args:
        model: its name in the configuration.
        version: the version; None for the newest, and with `unlabel`.
        config: the ModelServerConfig file that the server was started with; None for the repository's own.
        label: moved to the version.
        unlabel: a label to be taken away.
        server: gRPC target that is told at once and waited for, or several with commas between: all change or none.
            None leaves it to the server's polling of the file.
        repository: the folder where the version must be; None where it cannot be looked at.
        why: kept in the history.
        action: what the history calls it.
        keep_unlabelled: with a label, go on serving the version that answers requests without one.
        say: told in lines what is waited for, and beforehand where requests without version or label will go to
            another version than before.
        on_step: told in lines what has been done, and what was put back after a failure: what `say` leaves out.
        timeout: seconds, for the server to have the version.

    Returns:
        What the file says of the model now.

    Raises:
        DataLoss: the version's files are not those that were published; nothing was changed.
        NotFound: no such model in the file, no such version in the repository, no such label.
        InvalidArgument: labels that would be left without their version.
        FailedPrecondition: the file is not that server's; nothing was changed.
        Unavailable: there is no such server; nothing was changed.
        DeadlineExceeded: somebody else promotes all the time, or versions that are not wanted any more are still there;
            it is done but for that.
        ModelportError: the server does not take it, or the version does not come up; the file is as it was.
    """
    where = configuration_of(config, repository)
    if version is not None and repository is not None:  # a server would let the old one go before it finds out
        manifests.verify(Repository(repository).version_path(model, version))
        on_step(f"The files of version {version} are those that were written.")
    deadline = time.monotonic() + timeout
    with where.locked(deadline, say):
        before = where.model(model)
        base = Repository(repository).base_path(model) if repository is not None else where.base_path(before)
        if base.is_dir():
            history.check(base)  # a change that cannot be written down is not made
        newest = newest_of(model, version, repository)
        if server is None:
            refuse_unseen_move(before, version, label)
            aim = keep_live(steps_to(before, version, label, unlabel, newest), before, newest, keep_unlabelled, say)[-1]
            where.change(aim)
            on_step(f"{where.path.name} says: {words(aim)}")
        else:
            with Servers(server.split(","), timeout) as several:
                several.each(lambda client: _refuse_another_place(client, where, before))
                states = [one for found in several.each(lambda client: client.status(model)) for one in found]
                newest = newest or max((one.version for one in states if one.state == "AVAILABLE"), default=None)
                steps = steps_to(before, version, label, unlabel, newest)
                steps = keep_live(steps, before, newest, keep_unlabelled, say)
                awaited = None if unlabel is not None else version or newest  # taking a label away brings nothing
                if awaited is not None and steps[-1] != before:
                    say(f"{model}: waiting for version {awaited} at {server} …")
                folder = None if repository is None else Repository(repository)
                _on_servers(several, where, before, steps, awaited, folder, deadline, on_step)
                aim = steps[-1]
        if aim == before and _is_written(base, aim, newest):
            say(f"{model}: that is so already. Nothing was changed, and nothing is added to the history.")
        else:
            _note(aim, before, version, label or unlabel or "", newest, base, why, action)
    return aim


def configuration_of(config: Path | str | None, repository: Path | str | None) -> Configuration:
    """The file that is meant; see `promote`.

    Raises:
        NotFound: neither a file nor a repository.
    """
    own = None if repository is None else Path(repository) / layout.MODELS_CONFIG
    if config is not None and (own is None or os.path.realpath(config) != os.path.realpath(own)):
        return Configuration(config)
    if repository is None or not Path(repository).is_dir():
        raise NotFound(
            f"Expected a model repository, or the file that the server was started with (--config). Received: "
            f"{str(repository)!r}, which is no folder."
        )
    return Configuration.of_repository(repository)


def _on_servers(
    several: Servers,
    where: Configuration,
    before: ModelConfig,
    steps: Sequence[ModelConfig],
    version: int | None,
    repository: Repository | None,
    deadline: float,
    on_step: Callable[[str], None],
) -> None:
    """Change the file and the servers, step by step; all are as they were when a step fails."""
    text = where.text()
    try:
        for step in steps:
            where.change(step)
            on_step(f"{where.path.name} says: {words(step)}")
            several.each(partial(_tell, where=where, model=step, version=version, deadline=deadline))
            if version is not None:  # before the label moves, which is the last step
                several.each(partial(own_samples.ask, repository=repository, model=step.name, version=version))
                on_step(f"Version {version} is available and answers its own samples, where it carries any.")
    except BaseException:
        where.put_back(before, text)
        # The first error tells more; a server that comes back reads the file.
        several.try_each(lambda client: client.reload(_served(client, where, before.name)))
        on_step(f"Put back: {where.path.name} says again: {words(before)}; the servers were told.")
        raise
    several.each(partial(_wait_for_the_others_to_go, model=steps[-1], version=version, deadline=deadline))
    on_step("What is not wanted any more has gone.")


def _refuse_another_place(client: Client, where: Configuration, model: ModelConfig) -> None:
    """Refuse a file of other base paths than the server has: it would be left with one that leads nowhere."""
    there = client.base_path(model.name)
    if there is None and not where.path.exists():
        raise FailedPrecondition(
            f"Expected the file that the server at {client.target} was started with: it does not say where its models "
            f"are. Received: {str(where.path)!r}, which does not exist. Give its file with --config FILE."
        )
    if there is None:
        return
    here = where.base_path(model)
    if os.path.realpath(there) != os.path.realpath(here):
        raise FailedPrecondition(
            f"Expected the file that the server at {client.target} was started with: it has {model.name!r} in "
            f"{there!r}. Received: {str(where.path)!r}, which stands for {str(here)!r}. Give --repository "
            f"{str(Path(there).parent)!r}, or --config FILE."
        )


def _served(client: Client, where: Configuration, name: str) -> ServerConfig:
    """The models of the file that the server has, where it has them.

    A repository may have more than it was asked to serve, and a server outside of a container has them elsewhere.
    """
    kept = []
    for model in where.read().models or ():
        try:
            there = client.base_path(model.name)
        except NotFound:
            if model.name != name:
                continue
            there = None
        kept.append(model if there is None else replace(model, base_path=there))
    return ServerConfig(tuple(kept))


def newest_of(model: str, version: int | None, repository: Path | str | None) -> int | None:
    """The newest version in the repository, where it can be seen; a version that is asked for must be there."""
    if repository is None:
        return None
    found = Repository(repository)
    if version is not None:
        found.version_path(model, version)
    return max(found.versions(model), default=None)


def _tell(client: Client, where: Configuration, model: ModelConfig, version: int | None, deadline: float) -> None:
    """Have the server reload, and wait for the version."""
    states = client.status(model.name)
    failed_before = any(one.version == version and one.state == "END" and one.code for one in states)
    client.reload(_served(client, where, model.name))
    news_at = min(time.monotonic() + (_OLD_NEWS_S if failed_before else 0.0), deadline)
    try:
        while True:
            try:
                client.wait_until_available(model.name, version, max(deadline - time.monotonic(), 0.1))
            except FailedPrecondition:
                if time.monotonic() >= news_at:
                    raise
                time.sleep(_POLL_S)
            else:
                break
    except DeadlineExceeded as error:
        kept = [one.version for one in states if one.state == "AVAILABLE" and one.version != version]
        failed = [one.version for one in states if one.state == "END" and one.code]
        if not failed or not kept:
            raise
        raise DeadlineExceeded(
            f"{error.message} Version {failed[0]} did not load before. After that tensorflow_model_server keeps "
            f"version {kept[0]} and waits for its unload with every set of versions that names it: serve another one "
            f"alone first (modelport promote {model.name} {version}), or publish a good one. No restart is needed."
        ) from error
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


def _note(
    aim: ModelConfig,
    before: ModelConfig,
    version: int | None,
    label: str,
    newest: int | None,
    base: Path,
    why: str,
    action: str,
) -> None:
    """Write the change into the history, where the model's folder can be seen from here."""
    if not base.is_dir():
        return
    taken = set(before.labels) - set(aim.labels)
    kind = "unlabel" if taken else "label" if label and action == "promote" else action
    live = live_version(aim, newest)
    entry = history.Entry(kind, version, live, _plain(aim.labels), label, why, _verdict(base, version))
    history.append(base, entry)


def _is_written(base: Path, aim: ModelConfig, newest: int | None) -> bool:
    """Whether the history ends with what is so; not where a change was killed before it was written down."""
    entries = history.read(base) if base.is_dir() else []
    return not entries or (entries[-1].live, dict(entries[-1].labels)) == (live_version(aim, newest), dict(aim.labels))


def _plain(labels: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(labels.items()))


def _verdict(base: Path, version: int | None) -> str:
    if version is None:
        return ""
    with suppress(ModelportError):
        facts = Repository(base.parent).read_manifest(base.name, version)
        if facts is not None:
            return f"{facts.proof.get('verdict', '')} {facts.content_digest[:16]}".strip()
    return ""
