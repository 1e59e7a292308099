"""`modelport report`: where the report of a version is, and to open it."""

from __future__ import annotations

import json
import webbrowser
from collections.abc import Sequence

from modelport import layout
from modelport.errors import NotFound
from modelport_release import listing
from modelport_release.commands.arguments import open_repository, repository_parser


def main(argv: Sequence[str]) -> int:
    """`modelport report NAME[@VERSION] [--open]`."""
    parser = repository_parser("report", "The report of a version: one file that needs no network.")
    parser.add_argument("--open", action="store_true", help="open it in the browser")
    options = parser.parse_args(argv)
    repository = open_repository(options.repository)
    name, number = listing.resolve_version(repository, options.model)
    path = repository.version_path(name, number) / layout.HTML_REPORT
    if not path.is_file():
        raise NotFound(
            f"Expected a report in {str(path.parent)!r}. {name}@{number} has none: something else published it, or an "
            "earlier modelport. Publish it again."
        )
    print(json.dumps({"model": name, "version": number, "path": str(path)}) if options.json else path)
    if options.open and not webbrowser.open(path.as_uri()):
        raise NotFound("Expected a browser to open it with. There is none here: copy the file to where one is.")
    return 0
