"""`modelport train`: options in, a run folder out."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from modelport import run_record
from modelport.errors import InvalidArgument, ModelportError, NotFound
from modelport.quiet import native_notes_held_back
from modelport_training import own_data
from modelport_training import recipe as recipes
from modelport_training.settings import Settings, settings_of
from modelport_training.workers import cluster, launching

_KINDS = {
    "epochs": int,
    "batch_size": int,
    "learning_rate": float,
    "seed": int,
    "patience": int,
    "output": Path,
    "data": Path,
    "features": Path,
    "image_size": int,
    "workers": int,
}


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Read the command line; the options are the fields of `Settings`, and `json`. Exits with 2 when it is wrong."""
    parser = argparse.ArgumentParser(
        prog="modelport train",
        description="Train a model. Leaves a folder: model.keras, run.json, samples.npz, report.html, logs/ and more.",
        epilog=f"Built-in recipes: {', '.join(recipes.names())}. Your own is a module: see modelport_training.recipe.",
        allow_abbrev=False,
    )
    parser.add_argument("recipe", metavar="RECIPE", nargs="?", help="a built-in recipe, or the dotted name of a module")
    parser.add_argument("--recipe", dest="recipe_option", metavar="RECIPE", help="the same as an option")
    for field in dataclasses.fields(Settings):
        if field.name in ("recipe", "options", "fingerprint"):
            continue
        if field.default is False:
            parser.add_argument(*_flags(field.name), action="store_true", help=field.metadata["help"])
        else:
            told = field.metadata["help"] + (f" (default: {field.default})" if field.default is not None else "")
            kind, flags = _KINDS.get(field.name, str), _flags(field.name)
            parser.add_argument(*flags, type=kind, default=field.default, metavar=_metavar(kind), help=told)
    parser.add_argument("--like", type=Path, metavar="FOLDER", help="make a run once more, by its record")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        type=_option,
        metavar="NAME=VALUE",
        help="an option of the recipe's build, such as width=128; repeatable",
    )
    parser.add_argument(
        "--json", action="store_true", help="print the result as JSON on stdout, the progress on stderr"
    )
    options = parser.parse_args(argv)
    options.options = dict(options.set)
    if options.like is not None:
        if options.recipe or options.recipe_option or options.output is None:
            parser.error("--like FOLDER takes the recipe and all settings from there; say --output, where to")
        own = {"like", "output", "overwrite", "resume", "json", "options"}
        if others := [
            name for name, value in vars(options).items() if name not in own and value != parser.get_default(name)
        ]:
            parser.error(f"--like FOLDER takes all settings from there: leave out {', '.join(sorted(others))}")
        return options
    if options.data is not None and options.dataset != parser.get_default("dataset"):
        parser.error("say --data, for data of your own, or --dataset, for one that has a name")
    if options.recipe is None and options.recipe_option is None and options.data is not None:
        try:
            options.recipe = own_data.recipe_for(options.data)
        except InvalidArgument as error:
            parser.error(error.message)
        return options
    if (options.recipe is None) == (options.recipe_option is None):
        parser.error(f"expected one recipe, RECIPE or --recipe; built in are {', '.join(recipes.names())}")
    options.recipe = options.recipe or options.recipe_option
    return options


def main(argv: Sequence[str]) -> int:
    """Train; returns 0 when done, 1 when it failed, 2 when an option is wrong."""
    options = parse(argv)
    try:
        if options.like is not None:
            settings = _like(options)
        else:
            names = [field.name for field in dataclasses.fields(Settings) if field.name != "fingerprint"]
            settings = Settings(**{name: getattr(options, name) for name in names})
    except ModelportError as error:
        print(f"modelport train: {error.message}", file=sys.stderr)
        return 2
    if settings.workers > 1 and not os.environ.get(cluster.VARIABLE):
        return _launch(argv, settings)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with native_notes_held_back():
        from modelport_training.fit import train
    try:
        trained = train(settings, stream=sys.stderr if options.json else sys.stdout)
    except ModelportError as error:
        print(f"modelport train: {error.message}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("modelport train: stopped. --resume goes on from the last whole epoch.", file=sys.stderr)
        return 130
    if options.json:
        result: dict[str, Any] = {
            "folder": str(trained.folder),
            "model": str(trained.folder / "model.keras"),
            "metrics": dict(trained.metrics),
            "epochs": len(trained.history),
            "settings": dict(trained.settings),
            "data": dict(trained.data),
        }
        print(json.dumps(result, indent=2))
    else:
        print(f"Curves: tensorboard --logdir {trained.folder / 'logs'}")
    return 0


def _like(options: argparse.Namespace) -> Settings:
    """The settings of a run that is there, for another folder.

    Raises:
        NotFound: there is no run.
    """
    record = run_record.read(options.like)
    if record is None:
        raise NotFound(f"Expected a run in {str(options.like)!r}. Received: a folder without run.json.")
    fingerprint = str(record.dataset.get("fingerprint", ""))
    return settings_of(
        record, output=options.output, overwrite=options.overwrite, resume=options.resume, fingerprint=fingerprint
    )


def _launch(argv: Sequence[str], settings: Settings) -> int:
    """Start the workers; their logs lie in the run folder, beside what the chief writes."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        with native_notes_held_back():
            folder = settings.folder(recipes.load_recipe(settings.recipe))
    except ModelportError as error:
        print(f"modelport train: {error.message}", file=sys.stderr)
        return 1
    return launching.launch(argv, settings.workers, folder.with_name(f"{folder.name}.workers"), sys.stdout)


def _option(text: str) -> tuple[str, Any]:
    """NAME=VALUE, the value as JSON where it is some."""
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE. Received: {text!r}")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _flags(name: str) -> list[str]:
    """`--learning-rate`, and `--learning_rate` as the field has it."""
    return list(dict.fromkeys([f"--{name.replace('_', '-')}", f"--{name}"]))


def _metavar(kind: type) -> str:
    return {int: "N", float: "X", Path: "FOLDER"}.get(kind, "NAME")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
