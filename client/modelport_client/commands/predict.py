"""`modelport predict`: some rows to look at, or files of rows to files of answers."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from modelport.errors import InvalidArgument
from modelport_client.client import Client
from modelport_client.commands import answer_files, row_files
from modelport_client.commands.options import add_version, command_parser, connected, parse
from modelport_client.commands.predict_files import predict_file
from modelport_client.commands.tables import print_json, print_table
from modelport_client.inputs import pictures
from modelport_client.prediction import Prediction

_MAX_ROWS = 50  # of a table; --json prints all


def main(argv: Sequence[str]) -> int:
    """`modelport predict MODEL --image FILE…`, `--input JSON` or `--input FILE --output FILE`."""
    parser = command_parser("predict", "Ask a server for a prediction.")
    add_inputs(parser)
    add_version(parser)
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help=f"the answers to all rows of the input's file ({answer_files.KINDS})",
    )
    parser.add_argument("--batch-rows", type=int, default=256, metavar="N", help="rows of a request, for files (256)")
    options = parse(parser, argv)
    if options.output is not None:
        return _predict_file(parser, options)
    inputs, names = read_inputs(parser, options)
    with connected(options) as client:
        begin = time.monotonic()
        answer = ask(client, options, inputs)
        elapsed_ms = (time.monotonic() - begin) * 1000
    if options.json:
        outputs = {name: answer_files.plain(array) for name, array in answer.items()}
        print_json({"model": answer.model, "version": answer.version, "outputs": outputs})
    else:
        _print_prediction(answer, names, elapsed_ms)
    return 0


def add_inputs(parser: argparse.ArgumentParser) -> None:
    """The options that say what is sent, and what is wanted back."""
    parser.add_argument(
        "--image", nargs="+", action="extend", type=Path, metavar="FILE", help="encoded images, sent as they are"
    )
    parser.add_argument(
        "--input",
        metavar="JSON|FILE",
        help=f"'{{\"x\": [[1, 2]]}}', '[[1, 2]]' for a single input, @FILE (.json or .npy), or a file of rows "
        f"({row_files.KINDS}) or a folder of images",
    )
    parser.add_argument("--signature", help="default: serving_default, or serve_image_bytes for images")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="only this output; repeatable")
    parser.add_argument("--label", help="a version label")


def read_inputs(parser: argparse.ArgumentParser, options: argparse.Namespace) -> tuple[Any, list[str] | None]:
    """The inputs that the options name, and for files the rows' names."""
    if (options.image is None) == (options.input is None):
        parser.error("give either --image or --input")
    if options.image is None:
        if row_files.is_file(options.input):
            with connected(options) as client:
                return row_files.read_all(Path(options.input), row_files.wanted(client, options))
        return _read_input(options.input), None
    return [pictures.read_image(path) for path in options.image], [str(path) for path in options.image]


def ask(client: Client, options: argparse.Namespace, inputs: Any) -> Prediction:
    """The prediction that the options ask for."""
    return client.predict(
        options.model,
        inputs,
        version=options.version,
        label=options.label,
        signature=options.signature,
        outputs=options.only,
    )


def _predict_file(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    if options.image is not None or options.input is None or not row_files.is_file(options.input):
        parser.error(f"--output: give --input a file of rows ({row_files.KINDS}) or a folder of images")
    if options.batch_rows < 1:
        parser.error(f"--batch-rows: expected 1 or more. Received: {options.batch_rows}")
    with connected(options) as client:
        told = predict_file(client, options, Path(options.input), options.output)
    if options.json:
        print_json(told)
    else:
        print(
            f"{told['rows']} rows answered by {told['model']} version {told['version']} in {told['seconds']:.1f} s: "
            f"{options.output}"
        )
    return 0


def _read_input(text: str) -> Any:
    if text.startswith("@") and text.endswith(".npy"):
        try:
            return np.load(text[1:], allow_pickle=False)
        except (OSError, ValueError) as error:
            raise InvalidArgument(f"Expected an array in {text[1:]!r}. Received: {error}") from error
    try:
        return json.loads(Path(text[1:]).read_text("utf-8") if text.startswith("@") else text)
    except ValueError as error:
        raise InvalidArgument(f"Expected JSON for --input, or @FILE. Received: {text[:80]!r} ({error})") from error
    except OSError as error:
        raise InvalidArgument(f"Cannot read the file of --input: {error}") from error


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
        print(f"… and {count - _MAX_ROWS} more rows; --json prints all, --output FILE writes them")


def _cell(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        return np.array2string(value, precision=3, suppress_small=True, threshold=12, max_line_width=100)
    return str(value)
