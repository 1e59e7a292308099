"""What the commands on a repository have in common."""

from __future__ import annotations

import argparse
from pathlib import Path

from modelport.errors import NotFound
from modelport.repository import Repository

REPOSITORY = Path("models")


def repository_parser(name: str, text: str, *, optional: bool = False) -> argparse.ArgumentParser:
    """A parser for a model of a repository.

    Args:
        name: of the command.
        text: what it does.
        optional: whether it can also do it with all models.
    """
    parser = argparse.ArgumentParser(prog=f"modelport {name}", description=text)
    if optional:
        parser.add_argument("model", nargs="?", help="NAME, NAME@VERSION or NAME@LABEL; without it all models")
    else:
        parser.add_argument("model", help="NAME, NAME@VERSION or NAME@LABEL")
    parser.add_argument("--repository", type=Path, default=REPOSITORY, metavar="DIR", help=f"default: {REPOSITORY}")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def open_repository(root: Path) -> Repository:
    """The repository in a folder.

    Raises:
        NotFound: there is no such folder.
    """
    if not root.is_dir():
        raise NotFound(f"Expected a model repository: a folder of models. Received: {str(root)!r}, which is no folder.")
    return Repository(root)
