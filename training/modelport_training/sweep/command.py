"""`modelport sweep RECIPE --set NAME=RANGE …`: a series of trainings, the best of them ready to be published."""

from __future__ import annotations

import argparse
import dataclasses
import fcntl
import importlib.util
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from modelport.errors import FailedPrecondition, InvalidArgument, ModelportError, NotFound
from modelport.quiet import native_notes_held_back
from modelport_training import cli
from modelport_training.settings import Settings
from modelport_training.sweep.space import SETTINGS, Choice, settings_with

_WORKER = "MODELPORT_SWEEP_WORKER"  # set in the processes that train


def main(argv: Sequence[str]) -> int:
    """Run the series; returns 0 when a trial ended well."""
    parser = argparse.ArgumentParser(
        prog="modelport sweep",
        description="Train with other settings, looking for the best. A series that was ended goes on when it is "
        "called again.",
        epilog="Further options are those of modelport train.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=RANGE",
        help="learning_rate=1e-4..1e-2:log, batch_size=32,64: a setting, or an option of the recipe; repeatable",
    )
    parser.add_argument("--trials", type=int, default=20, metavar="N", help="trainings (20)")
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="trainings at a time (1)")
    own, others = parser.parse_known_args(argv)
    options = cli.parse(others)
    try:
        choices = [Choice.parse(text) for text in own.set]
        if not choices or own.trials < 1 or own.workers < 1:
            raise InvalidArgument("Expected --set at least once, and --trials and --workers from 1.")
        names = [choice.name for choice in choices]
        if doubles := sorted({name for name in names if names.count(name) > 1}):
            raise InvalidArgument(f"Expected each name once in --set. Received: {', '.join(doubles)} twice.")
        if options.output is None:
            raise InvalidArgument("Expected --output FOLDER: each trial gets a folder in it.")
        fields = [field.name for field in dataclasses.fields(Settings) if field.name != "fingerprint"]
        base = Settings(**{name: getattr(options, name) for name in fields})
        _check_optuna()
        return _sweep(base, choices, options.output, own, argv)
    except ModelportError as error:
        print(f"modelport sweep: {error.message}", file=sys.stderr)
        return 2 if isinstance(error, InvalidArgument) else 1


def _check_optuna() -> None:
    if importlib.util.find_spec("optuna") is None:
        raise FailedPrecondition("Expected Optuna, which chooses the settings: pip install 'modelport[sweep]'.")


def _sweep(
    base: Settings, choices: Sequence[Choice], folder: Path, own: argparse.Namespace, argv: Sequence[str]
) -> int:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with native_notes_held_back():
        from modelport_training.loop.model import check_options
        from modelport_training.sweep import outcome
        from modelport_training.sweep.study import Sweep
    sweep = Sweep(folder, base, choices, own.trials)
    if os.environ.get(_WORKER):
        with native_notes_held_back():
            import tensorflow as tf
        tf.get_logger().setLevel("ERROR")  # it warns of each model's functions, as if one were traced again and again
        sweep.run()
        return 0
    recipe = sweep.recipe()
    if base.data is not None and not base.data.exists():
        raise NotFound(f"Expected the data in {str(base.data)!r}, which does not exist.")
    ends = [value for choice in choices for value in choice.ends()]
    for name, value in ends:
        if name not in SETTINGS:
            check_options(recipe, {name: value})
        else:
            settings_with(base, {name: value})
    lock = _lock(folder)
    sweep.prepare()
    study = sweep.study()
    left = sweep.left(study)
    print(f"{own.trials} trials of {recipe.name}, {left} to be trained, {own.workers} at a time: {folder}", flush=True)
    if left > 0:
        _train(min(own.workers, left), argv, lock)
    outcome.write(folder, study, choices, recipe.monitor)
    outcome.show(study, choices, recipe.monitor)
    done = [
        trial
        for trial in study.get_trials(deepcopy=False)
        if trial.value is not None and trial.state.name == "COMPLETE"
    ]
    if not done:
        raise FailedPrecondition("Expected a trial that ends well. Received: none; each said why above.")
    best = study.best_trial
    print(f"The best: {folder / best.user_attrs['folder']}")
    print(f"Publish   modelport publish {folder / best.user_attrs['folder']} --name NAME")
    print(f"Compare   tensorboard --logdir {folder}")
    return 0


def _lock(folder: Path) -> int:
    """Hold the folder; the processes that train hold it too, so that it is free when the last of them is gone.

    Raises:
        FailedPrecondition: a series is under way in it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise FailedPrecondition(
            f"Expected {str(folder)!r} to be free. Received: a series is under way in it."
        ) from error
    return handle


def _train(count: int, argv: Sequence[str], lock: int) -> None:
    """Let some processes train; the end of this one is theirs.

    Raises:
        FailedPrecondition: one of them failed.
    """
    cores = os.cpu_count() or 1
    threads = str(max(1, cores // count))
    environment = {"TF_NUM_INTRAOP_THREADS": threads, "OMP_NUM_THREADS": threads, **os.environ, _WORKER: "1"}
    command = [sys.executable, "-u", "-m", "modelport_training.sweep.command", *argv]
    processes = [subprocess.Popen(command, env=environment, pass_fds=[lock]) for _ in range(count)]
    before = signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        codes = [process.wait() for process in processes]
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()
        signal.signal(signal.SIGTERM, before)
    if any(codes):
        raise FailedPrecondition(
            f"Expected all processes to end well. Received: exit codes {codes}. Call it again to go on."
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
