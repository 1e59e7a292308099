"""The options of `modelport export` and `modelport publish`, and what they mean as arguments."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelport.errors import InvalidArgument
from modelport.regular_files import read_text
from modelport.repository import Repository
from modelport_export.gate import bounds
from modelport_export.gate.bounds import Gate
from modelport_export.images import ImageInput

if TYPE_CHECKING:
    from modelport_export.sources import Source

_MOST_LABEL_BYTES = 16 * 2**20  # of a file of labels: 100,000 classes at 160 bytes each


def parser(name: str, text: str) -> argparse.ArgumentParser:
    """The options that both commands have."""
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
    parser.add_argument(
        "--evaluation", type=Path, metavar="FILE", help="held-out rows, .npz of inputs and 'label' or 'target_OUTPUT'"
    )
    _add_bounds(parser)
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


def _add_bounds(parser: argparse.ArgumentParser) -> None:
    """The gate's flags; each has a key of `modelport.toml`, which they are put over."""
    group = parser.add_argument_group("the gate", "bounds; those that always hold stand in modelport.toml")
    group.add_argument(
        "--gate", type=Path, metavar="FILE", help=f"the file of bounds (./{bounds.FILE} where there is one)"
    )
    for kind, words in (("min", "is less"), ("max", "is more")):
        group.add_argument(
            f"--{kind}", action="append", default=[], metavar="METRIC=X", help=f"refuse if a metric {words}; repeatable"
        )
    numbers = {
        "--max-regression": ("X", "refuse if a metric is worse than the live version's by more than X"),
        "--max-p50-ms": ("MS", "refuse if single calls take longer, at the median"),
        "--max-p99-ms": ("MS", "refuse if single calls take longer"),
        "--max-first-ms": ("MS", "refuse if the first call after the load takes longer"),
        "--max-load-seconds": ("S", "refuse if a server takes longer to start with it"),
        "--max-resident-mib": ("MIB", "refuse if a server needs more memory"),
        "--max-size-mib": ("MIB", "refuse if its files are larger"),
    }
    for flag, (unit, text) in numbers.items():
        group.add_argument(flag, type=float, metavar=unit, help=text)
    group.add_argument(
        "--allow-op",
        action="append",
        default=[],
        metavar="OP",
        help="an operation that reads or writes files or the like, and is meant; repeatable",
    )
    group.add_argument(
        "--no-evaluation-rows", action="store_true", help="held-out rows are private: leave them out of the version"
    )


def image(options: argparse.Namespace, source: Source) -> ImageInput:
    """The image of `--image`, in the shape that the model's only input has."""
    try:
        height, width, *channels = (int(size) for size in options.image.lower().split("x"))
        [count] = channels or [1]
    except ValueError as error:
        raise InvalidArgument(
            f"Expected --image as HxW or HxWxC, such as 28x28. Received: {options.image!r}"
        ) from error
    found = ImageInput(height, width, count, options.scale, options.offset)
    try:
        shape = getattr(source.model, "input_shape", None)
    except ValueError:  # of a model of several shapes
        shape = None
    if isinstance(shape, tuple) and all(isinstance(size, int) for size in shape[1:]) and shape[1:] != found.model_shape:
        found = ImageInput(height, width, count, options.scale, options.offset, tuple(shape[1:]))
    return found


def lines(path: Path) -> list[str]:
    """Of a file of labels."""
    return read_text(path, _MOST_LABEL_BYTES, "read the labels").splitlines()


def gate(options: argparse.Namespace, name: str) -> Gate:
    """The bounds of the command line, over those of the file."""
    file = options.gate or (bounds.FILE if bounds.FILE.exists() else None)
    given = Gate(
        min=_numbers(options.min, "--min"),
        max=_numbers(options.max, "--max"),
        max_regression=options.max_regression,
        max_p50_ms=options.max_p50_ms,
        max_p99_ms=options.max_p99_ms,
        max_first_ms=options.max_first_ms,
        max_load_seconds=options.max_load_seconds,
        max_resident_mib=options.max_resident_mib,
        max_size_mib=options.max_size_mib,
        metric_directions=pairs(options.metric_direction, "--metric-direction", "NAME=min or NAME=max"),
        allow_ops=options.allow_op,
        evaluation_rows=not options.no_evaluation_rows,
    )
    repository = getattr(options, "repository", None)
    others = Repository(repository).models() if repository is not None and repository.is_dir() else []
    return given if file is None else given.over(bounds.read(file, name, others))


def _numbers(given: Sequence[str], flag: str) -> dict[str, float]:
    found = {}
    for metric, text in pairs(given, flag, "METRIC=X, such as accuracy=0.95").items():
        try:
            found[metric] = float(text)
        except ValueError as error:
            raise InvalidArgument(
                f"Expected {flag} as METRIC=X, such as accuracy=0.95. Received: {metric}={text}"
            ) from error
    return found


def allowed(options: argparse.Namespace) -> dict[str, Any]:
    """What the user allows and tells, as arguments of `publish` and `export`."""
    return {
        "allow_lambda": options.allow_lambda,
        "allow_non_finite": options.allow_non_finite,
        "unproven": options.unproven,
        "scores": options.scores,
        "input_signature": _input_signature(options.input_signature),
    }


def pairs(given: Sequence[str], flag: str, form: str) -> dict[str, str]:
    """`NAME=VALUE`, repeated, as a mapping."""
    split = [text.partition("=") for text in given]
    for name, _, value in split:
        if not name or not value:
            raise InvalidArgument(f"Expected {flag} as {form}. Received: {name or value!r}")
    return {name: value for name, _, value in split}


def _input_signature(given: Sequence[str]) -> dict[str, Any] | None:
    """`image=uint8[?,?,?,3]` as a mapping of tf.TensorSpec."""
    if not given:
        return None
    import tensorflow as tf

    form = "NAME=dtype[?,SIZE,…], such as image=uint8[?,?,?,3]"
    specs = {}
    for name, text in pairs(given, "--input-signature", form).items():
        found = re.fullmatch(r"(\w+)\[([\d?, ]*)\]", text)
        if found is None:
            raise InvalidArgument(f"Expected --input-signature as {form}. Received: {name}={text}")
        try:
            shape = [None if size.strip() == "?" else int(size) for size in found[2].split(",")]
            specs[name] = tf.TensorSpec(shape, tf.as_dtype(found[1]), name=name)
        except (TypeError, ValueError) as error:
            raise InvalidArgument(f"Expected --input-signature as {form}. Received: {name}={text} ({error})") from error
    return specs
