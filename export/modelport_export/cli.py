"""`modelport export` and `modelport publish`: options in, a table and lines to paste out."""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import json
import os
import re
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
from modelport.quiet import native_notes_held_back
from modelport.readable import closed_to_others
from modelport.regular_files import read_text
from modelport_export.gate import Gate
from modelport_export.images import ImageInput

if TYPE_CHECKING:
    from modelport_export.sources import Source

_MOST_LABEL_BYTES = 16 * 2**20  # of a file of labels: 100,000 classes at 160 bytes each


def export_main(argv: Sequence[str]) -> int:
    """`modelport export SOURCE --to DIR`."""
    parser = _parser("export", "Turn a Keras model into a proven SavedModel folder. Nothing is overwritten.")
    parser.add_argument("--to", required=True, type=Path, metavar="DIR", help="the folder to make")
    options = parser.parse_args(argv)
    publishing = _import_publishing()
    with _progress(options.json) as progress:
        source = _load(options, progress)
        folder = publishing.export(source, options.to, gate=_gate(options), progress=progress, **_allowed(options))
    _show(folder, {"path": str(folder)}, f"Exported to {folder}, {_verdict(folder)}", options.json)
    return 0


def publish_main(argv: Sequence[str]) -> int:
    """`modelport publish SOURCE --name NAME`."""
    parser = _parser("publish", "Turn a Keras model into a proven version in the model repository.")
    parser.add_argument("--name", required=True, help="the model's name in the repository")
    parser.add_argument("--repository", type=Path, default=Path("models"), metavar="DIR", help="default: models")
    options = parser.parse_args(argv)
    check_name(options.name)  # before a model is loaded for nothing
    publishing = _import_publishing()
    with _progress(options.json) as progress:
        source = _load(options, progress)
        published = publishing.publish(
            source,
            name=options.name,
            repository=options.repository,
            gate=_gate(options),
            progress=progress,
            **_allowed(options),
        )
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


def _parser(name: str, text: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"modelport {name}", description=text)
    parser.add_argument("source", metavar="SOURCE", help="a .keras file, a run folder, or a SavedModel folder")
    parser.add_argument(
        "--import",
        action="append",
        default=[],
        dest="imports",
        metavar="MODULE",
        help=("import a module that registers custom classes; repeatable"),
    )
    parser.add_argument(
        "--samples", type=Path, metavar="FILE", help="raw held-out inputs, .npz with an array per input"
    )
    parser.add_argument("--labels", type=Path, metavar="FILE", help="one label a line, for an image classifier")
    parser.add_argument(
        "--image", metavar="HxW[xC]", help="the source is an image classifier, such as 28x28 or 224x224x3"
    )
    parser.add_argument("--scale", type=float, default=1 / 255, help="factor on pixel values 0..255 (1/255)")
    parser.add_argument("--offset", type=float, default=0.0, help="added after scaling (0)")
    parser.add_argument("--max-regression", type=float, metavar="X", help="refuse if a metric is worse by more than X")
    parser.add_argument("--max-p99-ms", type=float, metavar="MS", help="refuse if a single call takes longer")
    parser.add_argument("--max-resident-mib", type=float, metavar="MIB", help="refuse if a server needs more memory")
    parser.add_argument("--allow-lambda", action="store_true", help="trust the Python code in Lambda layers")
    parser.add_argument("--allow-h5", action="store_true", help="trust a .h5 file")
    parser.add_argument(
        "--metric-direction",
        action="append",
        default=[],
        metavar="NAME=min|max",
        help="which way a metric is better, for --max-regression; known of Keras' own; repeatable",
    )
    parser.add_argument(
        "--custom",
        action="append",
        default=[],
        metavar="NAME=module:Class",
        help="a class of the file that is registered nowhere; repeatable",
    )
    parser.add_argument(
        "--input-signature",
        action="append",
        default=[],
        metavar="NAME=dtype[?,SIZE,…]",
        help="an input's dtype and shape, ? for a size that varies, such as image=uint8[?,?,?,3]; repeatable",
    )
    parser.add_argument(
        "--scores",
        choices=("probabilities", "logits", "none"),
        help="what an image model gives, where it cannot be told",
    )
    parser.add_argument(
        "--allow-non-finite",
        action="append",
        default=[],
        metavar="OUTPUT",
        help="an output that may be NaN or infinite; repeatable",
    )
    parser.add_argument(
        "--unproven", metavar="WHY", help="publish a SavedModel that cannot be asked; the reason is kept with it"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


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
        custom=_pairs(options.custom, "--custom", "NAME=module:Class"),
        allow_lambda=options.allow_lambda,
        allow_h5=options.allow_h5,
    )
    given: dict[str, Any] = {}
    if options.image is not None:
        given["image"] = _image(options, source)
    if options.labels is not None:
        given["labels"] = _lines(options.labels)
    if options.samples is not None:
        given["samples"] = run_record.read_npz(options.samples)
    return dataclasses.replace(source, **given)


def _image(options: argparse.Namespace, source: Source) -> ImageInput:
    """The image of `--image`, in the shape that the model's only input has."""
    try:
        height, width, *channels = (int(size) for size in options.image.lower().split("x"))
        [count] = channels or [1]
    except ValueError as error:
        raise InvalidArgument(
            f"Expected --image as HxW or HxWxC, such as 28x28. Received: {options.image!r}"
        ) from error
    image = ImageInput(height, width, count, options.scale, options.offset)
    try:
        shape = getattr(source.model, "input_shape", None)
    except ValueError:  # of a model of several shapes
        shape = None
    if isinstance(shape, tuple) and all(isinstance(size, int) for size in shape[1:]) and shape[1:] != image.model_shape:
        image = ImageInput(height, width, count, options.scale, options.offset, tuple(shape[1:]))
    return image


def _lines(path: Path) -> list[str]:
    return read_text(path, _MOST_LABEL_BYTES, "read the labels").splitlines()


def _gate(options: argparse.Namespace) -> Gate:
    directions = _pairs(options.metric_direction, "--metric-direction", "NAME=min or NAME=max")
    return Gate(options.max_regression, options.max_p99_ms, options.max_resident_mib, directions)


def _allowed(options: argparse.Namespace) -> dict[str, Any]:
    """What the user allows and tells, as arguments of `publish` and `export`."""
    return {
        "allow_lambda": options.allow_lambda,
        "allow_non_finite": options.allow_non_finite,
        "unproven": options.unproven,
        "scores": options.scores,
        "input_signature": _input_signature(options.input_signature),
    }


def _pairs(given: Sequence[str], flag: str, form: str) -> dict[str, str]:
    pairs = [text.partition("=") for text in given]
    for name, _, value in pairs:
        if not name or not value:
            raise InvalidArgument(f"Expected {flag} as {form}. Received: {name or value!r}")
    return {name: value for name, _, value in pairs}


def _input_signature(given: Sequence[str]) -> dict[str, Any] | None:
    """`image=uint8[?,?,?,3]` as a mapping of tf.TensorSpec."""
    if not given:
        return None
    import tensorflow as tf

    form = "NAME=dtype[?,SIZE,…], such as image=uint8[?,?,?,3]"
    specs = {}
    for name, text in _pairs(given, "--input-signature", form).items():
        found = re.fullmatch(r"(\w+)\[([\d?, ]*)\]", text)
        if found is None:
            raise InvalidArgument(f"Expected --input-signature as {form}. Received: {name}={text}")
        try:
            shape = [None if size.strip() == "?" else int(size) for size in found[2].split(",")]
            specs[name] = tf.TensorSpec(shape, tf.as_dtype(found[1]), name=name)
        except (TypeError, ValueError) as error:
            raise InvalidArgument(f"Expected --input-signature as {form}. Received: {name}={text} ({error})") from error
    return specs


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
