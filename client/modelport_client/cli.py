"""`modelport predict`, `status` and `metadata`: tables for people, `--json` for programs."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from modelport.errors import InvalidArgument, from_os_error
from modelport.layout import parse_reference
from modelport_client.client import Client
from modelport_client.results import Array, Prediction

DEFAULT_SERVER = "localhost:8500"
_MAX_ROWS = 50  # of a table; --json prints all
# The formats that TensorFlow's decode_image knows.
_IMAGE_BEGINNINGS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF8", b"BM")


def predict_main(argv: Sequence[str]) -> int:
    """`modelport predict MODEL --image FILE…` or `--input JSON`."""
    parser = command_parser("predict", "Ask a server for a prediction.")
    add_inputs(parser)
    add_version(parser)
    options = parse(parser, argv)
    inputs, names = read_inputs(parser, options)
    with Client(options.server, timeout=options.timeout) as client:
        begin = time.monotonic()
        answer = ask(client, options, inputs)
        elapsed_ms = (time.monotonic() - begin) * 1000
    if options.json:
        outputs = {name: _plain(array) for name, array in answer.items()}
        _print_json({"model": answer.model, "version": answer.version, "outputs": outputs})
    else:
        _print_prediction(answer, names, elapsed_ms)
    return 0


def status_main(argv: Sequence[str]) -> int:
    """`modelport status MODEL`; exit code 1 when no version is available."""
    parser = command_parser("status", "The versions of a model and their states. Exit code 1 when none is available.")
    add_version(parser)
    parser.add_argument("--label", help="the version that bears it")
    parser.add_argument("--wait", type=float, metavar="SECONDS", help="first wait until a version is available")
    options = parse(parser, argv)
    with Client(options.server, timeout=options.timeout) as client:
        if options.label is not None:
            options.version = client.metadata(options.model, label=options.label).version
        if options.wait is not None:
            client.wait_until_available(options.model, options.version, options.wait)
        states = client.status(options.model, version=options.version)
    if options.json:
        _print_json(
            [{"version": s.version, "state": s.state, "code": s.code.name, "message": s.message} for s in states]
        )
    else:
        rows = [[str(s.version), s.state, s.code.name, s.message] for s in states]
        print_table(f"{options.model} at {options.server}", ["version", "state", "code", "message"], rows)
    return 0 if any(state.state == "AVAILABLE" for state in states) else 1


def metadata_main(argv: Sequence[str]) -> int:
    """`modelport metadata MODEL`."""
    parser = command_parser("metadata", "The signatures of a model.")
    add_version(parser)
    parser.add_argument("--label", help="a version label")
    options = parse(parser, argv)
    with Client(options.server, timeout=options.timeout) as client:
        metadata = client.metadata(options.model, version=options.version, label=options.label)
    rows = [
        [name, kind, alias, spec.dtype.name if spec.dtype else "?", _shape(spec.shape)]
        for name, signature in metadata.signatures.items()
        for kind, specs in (("input", signature.inputs), ("output", signature.outputs))
        for alias, spec in sorted(specs.items())
    ]
    columns = ["signature", "kind", "name", "dtype", "shape"]
    if options.json:
        tensors = [dict(zip(columns, row, strict=True)) for row in rows]
        _print_json({"model": metadata.model, "version": metadata.version, "tensors": tensors})
    else:
        print_table(f"{metadata.model} version {metadata.version}", columns, rows)
    return 0


def command_parser(name: str, text: str) -> argparse.ArgumentParser:
    """A parser with what all commands of the client have."""
    parser = argparse.ArgumentParser(prog=f"modelport {name}", description=text)
    parser.add_argument("model", help="name of the model; NAME@VERSION or NAME@LABEL for one version of it")
    parser.add_argument(
        "--server",
        default=DEFAULT_SERVER,
        help=f"host:port or unix:/path for gRPC, http://… for REST ({DEFAULT_SERVER})",
    )
    parser.add_argument("--timeout", type=float, default=10.0, metavar="SECONDS", help="for the whole call (10)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def add_version(parser: argparse.ArgumentParser) -> None:
    """The option that names a version."""
    parser.add_argument("--version", type=int, help="default: the newest that is available")


def parse(parser: argparse.ArgumentParser, argv: Sequence[str]) -> argparse.Namespace:
    """The options; what `NAME@VERSION` says is in `version` or `label`, wherever the command has them."""
    options = parser.parse_args(argv)
    options.model, version, label = parse_reference(options.model)
    for name, told in (("version", version), ("label", label)):
        if told is None:
            continue
        if not hasattr(options, name):
            parser.error(f"expected no {name} in the name of the model, but NAME or NAME@VERSION")
        if getattr(options, name) is not None or (name == "version" and getattr(options, "label", None) is not None):
            parser.error(f"the {name} is named twice: @{told} and --version or --label")
        setattr(options, name, told)
    return options


def add_inputs(parser: argparse.ArgumentParser) -> None:
    """The options that say what is sent, and what is wanted back."""
    parser.add_argument(
        "--image", nargs="+", action="extend", type=Path, metavar="FILE", help="encoded images, sent as they are"
    )
    parser.add_argument(
        "--input", metavar="JSON", help="'{\"x\": [[1, 2]]}', '[[1, 2]]' for a single input, or @FILE (.json or .npy)"
    )
    parser.add_argument("--signature", help="default: serving_default, or serve_image_bytes for images")
    parser.add_argument("--output", action="append", default=[], metavar="NAME", help="only this output; repeatable")
    parser.add_argument("--label", help="a version label")


def read_inputs(parser: argparse.ArgumentParser, options: argparse.Namespace) -> tuple[Any, list[str] | None]:
    """The inputs that the options name, and for files the rows' names."""
    if (options.image is None) == (options.input is None):
        parser.error("give either --image or --input")
    if options.image is None:
        return _read_input(options.input), None
    return _images(options.image), [str(path) for path in options.image]


def ask(client: Client, options: argparse.Namespace, inputs: Any) -> Prediction:
    """The prediction that the options ask for."""
    return client.predict(
        options.model,
        inputs,
        version=options.version,
        label=options.label,
        signature=options.signature,
        outputs=options.output,
    )


def _images(paths: list[Path]) -> list[bytes]:
    """The files' bytes; what is no image is told before a server has to find out."""
    images = []
    for path in paths:
        try:
            images.append(path.read_bytes())
        except OSError as error:
            raise from_os_error(error, "read the image", path) from error
        if not images[-1].startswith(_IMAGE_BEGINNINGS):
            raise InvalidArgument(
                f"Expected an image file (PNG, JPEG, GIF or BMP). Received: {str(path)!r}, which begins with "
                f"{images[-1][:8]!r}."
            )
    return images


def _read_input(text: str) -> Any:
    if text.startswith("@") and text.endswith(".npy"):
        return np.load(text[1:], allow_pickle=False)
    try:
        return json.loads(Path(text[1:]).read_text("utf-8") if text.startswith("@") else text)
    except ValueError as error:
        raise InvalidArgument(f"Expected JSON for --input, or @FILE. Received: {text[:80]!r} ({error})") from error
    except OSError as error:
        raise InvalidArgument(f"Cannot read the file of --input: {error}") from error


def _plain(array: Array) -> Any:
    """Nested lists for JSON; bytes as text."""
    if array.dtype == object:
        return json.loads(json.dumps(array.tolist(), default=lambda item: item.decode(errors="replace")))
    return array.tolist()


def _print_prediction(answer: Prediction, names: list[str] | None, elapsed_ms: float) -> None:
    columns = sorted(answer)
    batched = all(array.ndim for array in answer.values())
    count = min((len(array) for array in answer.values()), default=0) if batched else 1
    rows = []
    for index in range(min(count, _MAX_ROWS)):
        first = names[index] if names is not None and index < len(names) else str(index)
        rows.append([first, *(_cell(answer[column][index] if batched else answer[column]) for column in columns)])
    version = "" if answer.version is None else f" version {answer.version}"
    print_table(f"{answer.model}{version}, {elapsed_ms:.1f} ms", ["row", *columns], rows)
    if count > _MAX_ROWS:
        print(f"… and {count - _MAX_ROWS} more rows; --json prints all")


def _cell(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        return np.array2string(value, precision=3, suppress_small=True, threshold=12, max_line_width=100)
    return str(value)


def _shape(shape: tuple[int, ...] | None) -> str:
    return "any" if shape is None else "[" + ", ".join("?" if size < 0 else str(size) for size in shape) + "]"


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2))


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table for people, on a terminal or in a pipe."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*columns, title=title)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console = Console()
    if not console.is_terminal:  # a pipe has no width to fit; cut nothing
        console = Console(width=200)
    console.print(table)
