"""`modelport promote` and `modelport rollback`: which version answers, by a change that the running server takes up."""

from __future__ import annotations

import argparse
import difflib
import json
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from modelport.errors import InvalidArgument, NotFound, Unavailable
from modelport.layout import parse_reference
from modelport.repository import Repository
from modelport.serverconfig import ModelConfig, Specific, format_policy
from modelport_client import Client
from modelport_release.commands.arguments import REPOSITORY
from modelport_release.promotion import servers
from modelport_release.promotion.configuration import Configuration
from modelport_release.promotion.promoting import promote
from modelport_release.promotion.rollback import rollback


def promote_main(argv: Sequence[str]) -> int:
    """`modelport promote MODEL VERSION|latest [--label NAME]`, `modelport promote MODEL --unlabel NAME`."""
    parser = _parser(
        "promote", "Let one version answer, newer or older than the one that does, or move a label to it; no restart."
    )
    parser.add_argument("version", nargs="?", help="number of the version, or 'latest' for always the newest")
    parser.add_argument(
        "--label", metavar="NAME", help="move this label instead; labelled versions are served together"
    )
    parser.add_argument(
        "--keep-unlabelled", action="store_true", help="with --label: requests without one go where they went before"
    )
    parser.add_argument("--unlabel", metavar="NAME", help="take this label away")
    options = parser.parse_intermixed_args(argv)  # VERSION may stand behind options
    options.model, told, at = parse_reference(options.model)
    if told is not None or at is not None:
        if options.version is not None:
            parser.error(f"the version is named twice: {told or at} and {options.version}")
        options.version = str(told or at)
    if (options.version is None) != (options.unlabel is not None) or (options.label and options.unlabel):
        parser.error("say a VERSION, perhaps with --label NAME; or --unlabel NAME alone")
    _put_back_on_sigterm()
    config, repository = _places(options)
    now = promote(
        options.model,
        None if options.version is None else _version(options, config, repository),
        config=config,
        label=options.label,
        unlabel=options.unlabel,
        server=None if options.file_only else ",".join(options.server),
        repository=repository,
        why=options.why,
        keep_unlabelled=options.keep_unlabelled,
        say=_say,
        timeout=options.timeout,
    )
    _tell(now, options, config)
    return 0


def rollback_main(argv: Sequence[str]) -> int:
    """`modelport rollback MODEL`."""
    parser = _parser("rollback", "Back to the version that was live before, by the history of the model.")
    parser.add_argument("--label", metavar="NAME", help="back to the version that this label was on before")
    options = parser.parse_args(argv)
    options.model, to, at = parse_reference(options.model)
    if at is not None:
        if options.label is not None and options.label != at:
            parser.error(f"the label is named twice: @{at} and --label {options.label}")
        options.label = at
    _put_back_on_sigterm()
    config, repository = _places(options)
    version, now = rollback(
        options.model,
        repository=repository or options.repository or REPOSITORY,
        config=config,
        label=options.label,
        to=to,
        server=None if options.file_only else ",".join(options.server),
        why=options.why,
        say=_say,
        timeout=options.timeout,
    )
    if not options.json:
        print(f"{options.model}: back to version {version}")
    _tell(now, options, config)
    return 0


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _put_back_on_sigterm() -> None:
    """Let a promotion that is ended undo itself, as Ctrl-C does."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))


def _parser(name: str, text: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"modelport {name}", description=text)
    parser.add_argument("model", help="name of the model; NAME@VERSION and NAME@LABEL say which, too")
    parser.add_argument(
        "--repository", type=Path, metavar="DIR", help="the model repository (where the server says, else ./models)"
    )
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="the file that the server was started with (models.config in the repository, which `modelport serve DIR` "
        "and docker-compose.yml take)",
    )
    parser.add_argument(
        "--server",
        "--servers",
        type=servers.addresses,
        default=["localhost:8500"],
        metavar="HOST:PORT[,…]",
        help="told at once and waited for, all or none; dns:///NAME:PORT is every address of a name (localhost:8500)",
    )
    parser.add_argument("--file-only", action="store_true", help="change the file; the server's polling does the rest")
    parser.add_argument("--why", default="", metavar="TEXT", help="kept in the history")
    parser.add_argument("--timeout", type=float, default=120.0, metavar="SECONDS", help="for the version to come (120)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _places(options: argparse.Namespace) -> tuple[Path | None, Path | None]:
    """The file, None for that of the repository; and the repository, None where it cannot be seen from here."""
    config, repository = options.config, options.repository
    if not options.file_only:
        try:
            with Client(options.server[0], timeout=options.timeout) as client:
                there = client.base_path(options.model)
        except Unavailable as error:
            text = error.message.rstrip(".")
            raise Unavailable(
                f"{text}. Say where its gRPC port is with --server, or change the file alone with --file-only."
            ) from error
        except NotFound as error:
            known = repository or REPOSITORY
            if known.is_dir() and options.model not in Repository(known).models():
                raise NotFound(Repository(known).unknown(options.model)) from error
            raise
        if there is not None:
            repository = repository or Path(there).parent
    repository = repository or REPOSITORY
    return config, repository if (repository / options.model).is_dir() or config is None else None


def _version(options: argparse.Namespace, config: Path | None, repository: Path | None) -> int | None:
    """A number, `latest`, or the version that a label is on now."""
    if options.version == "latest":
        return None
    if options.version.isdecimal():
        return int(options.version)
    where = Configuration(config) if config is not None else Configuration.of_repository(repository or REPOSITORY)
    labels = where.model(options.model).labels
    if options.version not in labels:
        known = ", ".join(sorted(labels)) or "none"
        near = difflib.get_close_matches(options.version, labels, 1)
        hint = f". Did you mean {near[0]!r}?" if near else ""
        raise InvalidArgument(
            f"Expected the number of a version, a label of {options.model!r} ({known}), or 'latest'. Received: "
            f"{options.version!r}{hint}"
        )
    return labels[options.version]


def _tell(now: ModelConfig, options: argparse.Namespace, config: Path | None) -> None:
    if options.json:
        print(json.dumps({"model": now.name, "policy": format_policy(now.policy), "labels": dict(now.labels)}))
        return
    labels = "".join(f"; {label} is version {now.labels[label]}" for label in sorted(now.labels))
    file = str(config) if config is not None else "models.config of the repository"
    where = f"in {file}" if options.file_only else f"at {', '.join(options.server)} and in {file}"
    print(f"{now.name}: {format_policy(now.policy)}{labels} {where}")
    if now.labels and isinstance(now.policy, Specific):
        highest = max(now.policy.versions)
        print(f"Requests that name neither go to version {highest}; new versions wait to be promoted.")
