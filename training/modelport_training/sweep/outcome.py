"""What came of a series: a table, a picture, and the trials for TensorBoard's page of hyperparameters."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import TrialState
from rich.console import Console
from rich.table import Table

from modelport import atomic
from modelport_training.sweep.space import Choice


def write(folder: Path, study: optuna.Study, choices: Sequence[Choice], monitor: str) -> None:
    """Leave `trials.json` and `trials.png`."""
    facts = [
        {
            "trial": trial.number,
            "state": trial.state.name.lower(),
            "folder": trial.user_attrs.get("folder"),
            "value": trial.value,
            "values": trial.params,
            "why": trial.user_attrs.get("failed"),
        }
        for trial in study.get_trials(deepcopy=False)
    ]
    atomic.write_text(folder / "trials.json", json.dumps({"monitor": monitor, "trials": facts}, indent=2) + "\n")
    done = [trial for trial in study.get_trials(deepcopy=False) if trial.state == TrialState.COMPLETE]
    if done:
        atomic.write(folder / "trials.png", lambda made: _draw(made, done, choices, monitor))
    for trial in done:
        _to_board(folder / trial.user_attrs["folder"] / "logs", trial, monitor)


def show(study: optuna.Study, choices: Sequence[Choice], monitor: str) -> None:
    """Print the trials, the best first."""
    names = [choice.name for choice in choices if len(choice.values) != 1]
    table = Table("trial", *names, monitor, "epochs", "state")
    sign = 1 if study.direction == optuna.study.StudyDirection.MINIMIZE else -1
    trials = study.get_trials(deepcopy=False)
    for trial in sorted(trials, key=lambda one: (one.state != TrialState.COMPLETE, sign * (one.value or 0.0))):
        if trial.state == TrialState.FAIL and "failed" not in trial.user_attrs:
            continue  # it was ended from outside, and tried again
        values = [trial.params.get(name) for name in names]
        value = trial.value if trial.value is not None else trial.intermediate_values.get(trial.last_step or 0)
        table.add_row(
            str(trial.number),
            *(f"{one:.3g}" if isinstance(one, float) else str(one) for one in values),
            "" if value is None else f"{value:.4f}",
            str(len(trial.intermediate_values)),
            trial.state.name.lower(),
        )
    Console().print(table)


def _draw(path: Path, trials: Sequence[Any], choices: Sequence[Choice], monitor: str) -> None:
    """A panel for each setting: its values against what came of them."""
    from matplotlib.figure import Figure

    shown = [choice for choice in choices if len(choice.values) != 1]
    figure = Figure(figsize=(4 * max(len(shown), 1), 3.5), layout="constrained")
    panels = figure.subplots(1, max(len(shown), 1), squeeze=False, sharey=True)[0]
    for axes, choice in zip(panels, shown, strict=False):
        values = [trial.params[choice.name] for trial in trials]
        axes.scatter(values if not choice.values else [str(one) for one in values], [one.value for one in trials])
        if choice.log:
            axes.set_xscale("log")
        axes.set(xlabel=choice.name, ylabel=monitor)
        axes.grid(alpha=0.3)
    figure.savefig(path, format="png", dpi=110)


def _to_board(logs: Path, trial: Any, monitor: str) -> None:
    import tensorflow as tf
    from tensorboard.plugins.hparams import api

    if not logs.is_dir():
        return
    with tf.summary.create_file_writer(str(logs)).as_default():
        api.hparams(
            {
                name: value if isinstance(value, int | float | str) else str(value)
                for name, value in trial.params.items()
            }
        )
        tf.summary.scalar(f"best_{monitor}", trial.value, step=0)
