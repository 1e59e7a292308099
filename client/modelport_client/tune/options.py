"""The options of `modelport tune`, checked."""

from __future__ import annotations

import argparse
import math
import shlex
from collections.abc import Sequence
from pathlib import Path

from modelport.errors import InvalidArgument
from modelport_client.commands import row_files
from modelport_client.loadtest import options as told
from modelport_client.loadtest.found import Bound

_BUDGET_MIN = 10.0
_LEAST_BUDGET_MIN = 0.25
_TEXT = """Find the settings under which a server holds a bound at the highest rate.
It starts servers of its own on loopback ports, one after the other, and asks nobody else. Without --server-command and
--container it tunes the embedded server. Exit code 1 when nothing holds the bound, 4 when the generator was the
bottleneck: no result."""


def parse_options(argv: Sequence[str]) -> tuple[argparse.ArgumentParser, argparse.Namespace]:
    """The command line, checked as far as nothing is started for it."""
    parser = argparse.ArgumentParser(
        prog="modelport tune", description=_TEXT, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", help="name of the model; its newest version is served")
    parser.add_argument("--slo", required=True, type=_bound, metavar="P", help="to be held, such as p99=20ms")
    parser.add_argument("--models", type=Path, default=Path("models"), metavar="DIR", help="the repository (models)")
    parser.add_argument(
        "--server-command", type=_words, metavar="COMMAND", help="a server that takes tensorflow_model_server's flags"
    )
    parser.add_argument("--container", metavar="IMAGE", help="a server in a container of this image")
    parser.add_argument(
        "--budget", type=float, default=_BUDGET_MIN, metavar="MINUTES", help=f"for all of it ({_BUDGET_MIN:g})"
    )
    parser.add_argument("--output", type=Path, metavar="DIR", help="a new folder for the result (tune-MODEL)")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write a page with drawings (.html)")
    parser.add_argument("--input", metavar="JSON", help="what is asked; by default the version's warm-up requests")
    parser.add_argument("--image", nargs="+", action="extend", type=Path, metavar="FILE", help="encoded images")
    parser.add_argument("--signature", help="default: serving_default, or serve_image_bytes for images")
    told.add_samples(parser)
    told.add_generator(parser)
    parser.add_argument(
        "--rows-are-independent",
        action="store_true",
        help="try batching although the publisher did not prove that rows do not influence one another",
    )
    parser.add_argument("--timeout", type=float, default=10.0, metavar="SECONDS", help="of a call (10)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(argv)
    if options.server_command is not None and options.container is not None:
        parser.error("give --server-command or --container, not both")
    if sum(one is not None for one in (options.input, options.image, options.samples)) > 1:
        parser.error("give one of --input, --image and --samples")
    if options.input is not None and row_files.is_file(options.input):
        parser.error("--input: expected JSON, or @FILE; make --samples of a file of rows")
    if options.rows is not None and (options.input is not None or options.image is not None):
        parser.error("--rows is for recorded requests, not for --input or --image")
    told.check_numbers(parser, options, ("budget", *told.GENERATOR_NUMBERS), not_negative=("seed",))
    if not (_LEAST_BUDGET_MIN <= options.budget < math.inf):
        parser.error(f"--budget: expected {_LEAST_BUDGET_MIN:g} minutes or more. Received: {options.budget:g}")
    options.output = options.output or Path(f"tune-{options.model}")
    told.check_report(parser, options)
    return parser, options


def _bound(text: str) -> Bound:
    try:
        return Bound.parse(text)
    except InvalidArgument as error:
        raise argparse.ArgumentTypeError(error.message) from error


def _words(text: str) -> list[str]:
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected a command: {error}") from error
    if not words:
        raise argparse.ArgumentTypeError("expected a command, received nothing")
    return words
