"""What a tuning leaves in its folder: the flags and the batching parameters that won, and why."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelport.errors import AlreadyExists, from_os_error
from modelport_client.loadtest.found import Bound, Found
from modelport_client.loadtest.intervals import Interval, geometric
from modelport_client.tune.duel import Verdict
from modelport_client.tune.halving import Trial
from modelport_client.tune.settings import DEFAULTS, Setting

FLAGS, BATCHING, FACTS, TABLE = "flags.txt", "batching.config", "evidence.json", "evidence.md"


@dataclass(frozen=True)
class Evidence:
    """Of one tuning.

    Args:
        model: its name.
        server: which was tuned.
        bound: to be held.
        samples: what was asked.
        trials: the rounds.
        verdict: the turns of the last two; None when nothing but the defaults held the bound.
        remarks: what has to be known.
    """

    model: str
    server: str
    bound: Bound
    samples: str
    trials: Sequence[Trial]
    verdict: Verdict | None
    remarks: Sequence[str]

    @property
    def winner(self) -> Setting:
        """The defaults unless another setting was shown to be better."""
        return DEFAULTS if self.verdict is None else self.verdict.winner

    @property
    def rate(self) -> Interval | None:
        """At which the winner holds the bound."""
        if self.verdict is None:
            rates = [found.rate for found in self.trials[0].founds if found.rate]
        else:
            side = int(self.winner != DEFAULTS)
            rates = [pair[side].rate or 0.0 for pair in self.verdict.founds if pair[side].rate]
        return geometric(rates) if rates else None

    @property
    def words(self) -> str:
        """The answer."""
        if self.rate is None:
            return f"No setting was found under which {self.model} holds {self.bound}."
        rate = f"{self.model} holds {self.bound} at {self.rate} requests a second"
        if self.verdict is None:
            return f"The defaults are best: no other setting was seen to hold the bound. With them {rate}."
        ratio = self.verdict.ratio
        compared = "" if ratio is None else f" It takes {ratio} times the rate of the defaults."
        challenger = self.verdict.challenger.name
        if self.verdict.is_better:
            return f"Best: {self.winner.name}. With it {rate}.{compared}"
        other = "" if ratio is None else f" The next best, {challenger}, takes {ratio} times their rate."
        return f"The defaults are best: nothing was shown to be better. With them {rate}.{other}"

    @property
    def searches(self) -> dict[str, Found]:
        """What a page shows: the last turn of the last two, or else of the rounds what there is."""
        if self.verdict is not None and self.verdict.founds:
            return dict(zip(("defaults", self.verdict.challenger.name), self.verdict.founds[-1], strict=True))
        return {trial.setting.name: trial.founds[-1] for trial in self.trials if trial.founds}

    def write(self, folder: Path) -> None:
        """All files.

        Raises:
            ModelportError: they cannot be written.
        """
        flags = list(self.winner.flags)
        texts = {FACTS: json.dumps(self.to_json(), indent=2) + "\n", TABLE: self._table()}
        if self.winner.batching is not None:
            texts[BATCHING] = self.winner.batching
            flags.append(f"--batching_parameters_file={(folder / BATCHING).resolve()}")
        texts[FLAGS] = "".join(f"{flag}\n" for flag in flags)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name, text in texts.items():
                (folder / name).write_text(text, "utf-8")
        except OSError as error:
            raise from_os_error(error, "write the evidence into", folder) from error

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        rate, verdict = self.rate, self.verdict
        ratio = None if verdict is None else verdict.ratio
        return {
            "model": self.model,
            "server": self.server,
            "bound": str(self.bound),
            "samples": self.samples,
            "winner": self.winner.name,
            "defaults_are_best": self.winner == DEFAULTS,
            "flags": list(self.winner.flags),
            "batching": self.winner.batching,
            "rate_per_s": _interval(rate),
            "challenger": None if verdict is None else verdict.challenger.name,
            "challenger_over_defaults": _interval(ratio),
            "turns": [] if verdict is None else [[one.to_json() for one in pair] for pair in verdict.founds],
            "trials": [
                {
                    "setting": trial.setting.name,
                    "flags": list(trial.setting.flags),
                    "batching": trial.setting.batching,
                    "error": trial.error,
                    "rounds": [found.to_json() for found in trial.founds],
                }
                for trial in self.trials
            ],
            "remarks": list(self.remarks),
            "words": self.words,
        }

    @property
    def rows(self) -> list[list[str]]:
        """Setting, its rates round by round, and what went wrong."""
        return [
            [trial.setting.name, ", ".join(_rate(found.rate) for found in trial.founds), trial.error or ""]
            for trial in sorted(self.trials, key=lambda trial: (-len(trial.founds), -trial.rate))
        ]

    def _table(self) -> str:
        lines = [f"# {self.model} on {self.server}: {self.bound}", "", self.words, ""]
        lines += [f"Asked: {self.samples}.", *(f"{remark}" for remark in self.remarks), ""]
        lines += ["| setting | requests a second that hold the bound, round by round | error |", "|---|---|---|"]
        lines += [f"| {' | '.join(' '.join(cell.replace('|', '¦').split()) for cell in row)} |" for row in self.rows]
        if self.verdict is not None:
            lines += ["", f"| turn | defaults | {self.verdict.challenger.name} |", "|---|---|---|"]
            lines += [
                f"| {number} | {_rate(one.rate)} | {_rate(other.rate)} |"
                for number, (one, other) in enumerate(self.verdict.founds, 1)
            ]
        return "\n".join(lines) + "\n"


def check_folder(folder: Path) -> None:
    """Whether the files may go there.

    Raises:
        AlreadyExists: something is there already.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise AlreadyExists(f"Expected a new or empty folder for --output. Received: {str(folder)!r}")


def _rate(rate: float | None) -> str:
    return "none" if rate is None else f"{rate:.4g}"


def _interval(interval: Interval | None) -> dict[str, float | int | None] | None:
    if interval is None:
        return None
    return {"mean": interval.mean, "low": interval.low, "high": interval.high, "count": interval.count}
