"""`modelport export` and `modelport publish`: options in, a table and lines to paste out."""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from modelport import manifest as manifests
from modelport import run_record
from modelport.errors import InvalidArgument
from modelport.layout import check_name
from modelport.manifest import Manifest
from modelport.quiet import native_notes_held_back
from modelport.readable import closed_to_others
from modelport_export import command_line

if TYPE_CHECKING:
    from modelport_export.sources import Source

REFUSED = 3  # exit code of `modelport` where the gate refuses a version


def export_main(argv: Sequence[str]) -> int:
    """`modelport export SOURCE --to DIR`."""
    parser = command_line.parser(
        "export", "Turn a Keras model into a proven SavedModel folder. Nothing is overwritten."
    )
    parser.add_argument("--to", required=True, type=Path, metavar="DIR", help="the folder to make")
    options = parser.parse_args(argv)
    publishing = _import_publishing()
    gate = command_line.gate(options, options.to.name)
    with _progress(options.json) as progress:
        source = _load(options, progress)
        folder = publishing.export(source, options.to, gate=gate, progress=progress, **command_line.allowed(options))
    _show(folder, {"path": str(folder)}, f"Exported to {folder}, {_verdict(folder)}", options.json)
    return 0


def publish_main(argv: Sequence[str]) -> int:
    """`modelport publish SOURCE --name NAME`."""
    parser = command_line.parser("publish", "Turn a Keras model into a proven version in the model repository.")
    parser.add_argument("--name", required=True, help="the model's name in the repository")
    parser.add_argument("--repository", type=Path, default=Path("models"), metavar="DIR", help="default: models")
    parser.add_argument(
        "--breaking", metavar="WHY", help="the signatures change on purpose: clients of the live version will fail"
    )
    parser.add_argument("--force", metavar="WHY", help="publish whatever the gate says; the reason is kept with it")
    parser.add_argument("--dry-run", action="store_true", help="give the verdict and publish nothing")
    options = parser.parse_args(argv)
    for flag in ("breaking", "force"):
        if getattr(options, flag) is not None and not getattr(options, flag).strip():
            parser.error(f"--{flag} wants a reason in words")
    check_name(options.name)  # before a model is loaded for nothing
    gate = command_line.gate(options, options.name)
    publishing = _import_publishing()
    told = {"name": options.name, "repository": options.repository, "gate": gate, "breaking": options.breaking}
    with _progress(options.json) as progress:
        source = _load(options, progress)
        if options.dry_run:
            judged = publishing.examine(source, progress=progress, **told, **command_line.allowed(options))
        else:
            published = publishing.publish(
                source, progress=progress, force=options.force, **told, **command_line.allowed(options)
            )
    if options.dry_run:
        return _show_verdict(judged, options.json)
    if (closed := closed_to_others(options.repository, published.path.parent)) is not None:
        print(
            f"Note: {str(closed)!r} is closed to other users, such as that of a server in a container: chmod o+rx",
            file=sys.stderr,
        )
    what = "Published" if published.new else "Already published, with equal content:"
    title = f"{what} {published.model} version {published.version} in {published.path}"
    title += f", {_verdict(published.path)}"
    fields = {"model": published.model, "version": published.version, "path": str(published.path), "new": published.new}
    _show(published.path, fields, title, options.json, new=published.new)
    return 0


def _import_publishing() -> ModuleType:
    """Import TensorFlow, after the command line was found to be right."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with native_notes_held_back():
        return importlib.import_module("modelport_export.publishing")


def _load(options: argparse.Namespace, progress: Callable[[str], None]) -> Source:
    """The source with the command line's additions."""
    progress("load")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))  # as `python -m` does: --import finds the user's own modules
    from modelport_export import sources

    source = sources.load(
        options.source,
        imports=options.imports,
        custom=command_line.pairs(options.custom, "--custom", "NAME=module:Class"),
        allow_lambda=options.allow_lambda,
        allow_h5=options.allow_h5,
    )
    given: dict[str, Any] = {}
    if options.image is not None:
        given["image"] = command_line.image(options, source)
    if options.labels is not None:
        given["labels"] = command_line.lines(options.labels)
    if options.samples is not None:
        given["samples"] = run_record.read_npz(options.samples)
    if options.evaluation is not None:
        given["evaluation"] = run_record.read_npz(options.evaluation)
        given["evaluation_is_wanted"] = True
    return dataclasses.replace(source, **given)


def _show_verdict(judged: Manifest, as_json: bool) -> int:
    """The verdict of a dry run; the exit code is that of the publication."""
    checks = judged.proof["checks"]
    refused = any(check["outcome"] == "refused" for check in checks)
    if as_json:
        facts = {"signatures": judged.signatures, "metrics": judged.metrics, "proof": judged.proof}
        print(json.dumps({"model": judged.model, "accepted": not refused, **facts}))
    else:
        from modelport_export.show import show_checks

        print(
            f"{judged.model}: {'it would be refused' if refused else 'it would be published'}. Nothing was published."
        )
        show_checks(checks)
    return REFUSED if refused else 0


def _verdict(folder: Path) -> str:
    facts = manifests.read(folder)
    return str(facts.proof.get("verdict", "")) if facts is not None else ""


@contextmanager
def _progress(quiet: bool) -> Iterator[Callable[[str], None]]:
    """Say each step on stderr: a moving line on a terminal, one line a step elsewhere, nothing with --json."""
    if quiet:
        yield lambda step: None
        return
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda step: console.print(f"{step} …")
        return
    with console.status("load …") as status:
        yield lambda step: status.update(f"{step} …")


def _show(folder: Path, fields: dict[str, Any], title: str, as_json: bool, *, new: bool = True) -> None:
    manifest = manifests.read(folder)
    if manifest is None:  # only when somebody removed it in between
        raise InvalidArgument(f"Expected a manifest in {str(folder)!r}.")
    if as_json:
        facts = {"signatures": manifest.signatures, "metrics": manifest.metrics, "proof": manifest.proof}
        print(json.dumps({**fields, "content_digest": manifest.content_digest, **facts}))
        return
    from modelport_export.show import show

    show(manifest, folder, title, new=new)
