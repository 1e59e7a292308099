"""The trials of a series: kept in a file beside their runs, so that a series that is ended goes on."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from modelport import atomic
from modelport.errors import AlreadyExists, FailedPrecondition, ModelportError
from modelport_training.recipe import Recipe, load_recipe
from modelport_training.settings import Settings
from modelport_training.sweep.space import Choice, settings_with

_NAME = "sweep"
_JOURNAL, _SPACE, _LOCK = "journal.log", "sweep.json", ".lock"
_UNJUDGED = 5  # trials that are not ended before their time, so that there is something to be worse than
_FAILED = "failed"  # why, of a trial whose settings do not work


@dataclass(frozen=True)
class Sweep:
    """A series.

    Args:
        folder: of its runs.
        base: the settings of all trials.
        choices: what differs.
        trials: how many.
    """

    folder: Path
    base: Settings
    choices: Sequence[Choice]
    trials: int

    def prepare(self) -> None:
        """Begin a series, or take up one that is in the folder; trials that were ended are tried again.

        Raises:
            AlreadyExists: the folder has a series of other settings.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        told = json.dumps(self._facts(), indent=2) + "\n"
        path = self.folder / _SPACE
        if path.exists() and path.read_text("utf-8") != told:
            raise AlreadyExists(
                f"Expected no series in {str(self.folder)!r}, or the same one. Received: one of other settings; give "
                "another output."
            )
        atomic.write_text(path, told)
        study = self.study()
        for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            study.tell(trial.number, state=TrialState.FAIL)
            study.enqueue_trial(trial.params, user_attrs={"folder": trial.user_attrs.get("folder")})

    def study(self) -> optuna.Study:
        """The trials, as Optuna has them."""
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        storage = JournalStorage(JournalFileBackend(str(self.folder / _JOURNAL)))
        recipe = self.recipe()
        return optuna.create_study(
            storage=storage,
            study_name=_NAME,
            load_if_exists=True,
            direction="minimize" if recipe.mode == "min" else "maximize",
            # A seed for each process: equal ones would try the same settings twice.
            sampler=optuna.samplers.TPESampler(seed=(self.base.seed * 1000 + os.getpid() % 1000) % 2**32),
            pruner=optuna.pruners.MedianPruner(n_startup_trials=_UNJUDGED, n_warmup_steps=1),
        )

    def recipe(self) -> Recipe:
        """The recipe of all trials."""
        return load_recipe(self.base.recipe)

    def run(self) -> None:
        """Train trials until there are enough; several processes may do so at once."""
        study = self.study()
        while (trial := self._begun(study)) is not None:
            try:
                study.tell(trial, self._value(trial))
            except optuna.TrialPruned:
                study.tell(trial, state=TrialState.PRUNED)
            except ModelportError as error:  # settings that do not work: the next ones may
                trial.set_user_attr(_FAILED, error.message)
                study.tell(trial, state=TrialState.FAIL)
                print(f"trial {trial.number}: {error.message}", flush=True)

    def _begun(self, study: optuna.Study) -> optuna.Trial | None:
        """A trial, or None when there are enough; processes look and begin one after the other."""
        with (self.folder / _LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return study.ask() if self.left(study) > 0 else None

    def left(self, study: optuna.Study) -> int:
        """Trials that are still to be begun."""
        trials = study.get_trials(deepcopy=False)
        ended = [one for one in trials if one.state in (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)]
        return self.trials - len(ended) - len([one for one in trials if _FAILED in one.user_attrs])

    def _value(self, trial: optuna.Trial) -> float:
        """Train a trial; its best value."""
        from modelport_training.fit import train

        keras.utils.clear_session()  # names of layers count on from one model to the next
        recipe = self.recipe()
        values = {choice.name: choice.suggest(trial) for choice in self.choices}
        folder = trial.user_attrs.get("folder") or f"trial-{trial.number}"
        trial.set_user_attr("folder", folder)

        def watch(epoch: int, measured: Mapping[str, float]) -> None:
            value = measured.get(recipe.monitor)
            if value is None:
                raise FailedPrecondition(f"Expected {recipe.monitor!r} to be measured. Received: {sorted(measured)}")
            trial.report(value, epoch)
            if trial.should_prune():
                print(f"trial {trial.number}: ended after epoch {epoch}, {recipe.monitor} {value:.4f}", flush=True)
                raise optuna.TrialPruned

        print(f"trial {trial.number}: {told(values)}", flush=True)
        settings = settings_with(self.base, values, output=self.folder / folder, resume=True)
        trained = train(settings, stream=None, watch=watch)
        found = [epoch[recipe.monitor] for epoch in trained.history]
        best = min(found) if recipe.mode == "min" else max(found)
        print(f"trial {trial.number}: {recipe.monitor} {best:.4f} after {len(found)} epochs", flush=True)
        return best

    def _facts(self) -> Mapping[str, Any]:
        base = {name: str(value) for name, value in sorted(vars(self.base).items()) if name not in ("output", "resume")}
        return {"settings": base, "choices": [choice.to_dict() for choice in self.choices]}


def told(values: Mapping[str, Any]) -> str:
    """Values as one reads them."""
    return ", ".join(
        f"{name}={value:.3g}" if isinstance(value, float) else f"{name}={value}" for name, value in values.items()
    )
