"""What kind of thing is to be looked at, and who looks at it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from modelport import layout
from modelport.errors import InvalidArgument, NotFound
from modelport.layout import parse_version
from modelport.repository import Repository
from modelport_release.doctor import configurations, keras_files, repositories, servers, stack, versions
from modelport_release.doctor.finding import Finding, in_order

KINDS = (
    "a repository, a base path, a version, a models.config, a compose file, a .keras file, or the address of a server"
)


def examine(
    what: str,
    *,
    models: Sequence[str] = (),
    target: str | None = None,
    callers: int | None = None,
    message_bytes: int | None = None,
) -> list[Finding]:
    """All findings about a thing, the worst first.

    Args:
        what: a path, or HOST:PORT, or http://HOST:PORT.
        models: to ask a server for.
        target: the version of the TensorFlow that is to serve, where it is not known from an image.
        callers: requests at a time that a server of a compose file has to answer.
        message_bytes: a size of messages that has to pass on the way to a server.

    Raises:
        NotFound: there is no such path.
        InvalidArgument: it is nothing that can be looked at.
    """
    path = Path(what)
    if path.is_dir():
        path = path.absolute()  # as configurations name it
    if not what or not path.exists():
        if "://" in what or what.rpartition(":")[2].isdecimal():
            return in_order(list(servers.check(what, list(models), message_bytes)))
        raise NotFound(f"Expected {KINDS}. Received: {what!r}, which does not exist.")
    if path.is_dir():
        if parse_version(path.name) is not None and (path / layout.SAVED_MODEL).exists():
            return in_order(list(versions.check(path, target)))
        if repositories.is_base_path(path):
            return in_order(list(repositories.check_base_path(path, target)))
        found = list(repositories.check_repository(path, target))
        file = path / layout.MODELS_CONFIG
        return in_order([*found, *(_configuration(file, target) if file.is_file() else ())])
    if path.suffix == ".keras":
        return in_order(list(keras_files.check(path)))
    if path.suffix in (".yml", ".yaml"):
        return in_order(list(stack.check(path, callers)))
    if path.suffix in (".config", ".pbtxt", ".conf"):
        return in_order(list(_configuration(path.absolute(), target)))
    raise InvalidArgument(f"Expected {KINDS}. Received: {what!r}")


def _configuration(file: Path, target: str | None) -> Iterator[Finding]:
    of_repository = file.name == layout.MODELS_CONFIG.name and bool(Repository(file.parent).models())
    places = configurations.in_repository(file.parent) if of_repository else configurations.here
    return configurations.check(file, places, target)
