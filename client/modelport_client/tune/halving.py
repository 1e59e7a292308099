"""Successive halving: all settings for a short time, the better half for twice as long, until two are left.

The defaults take part to the end, however they do. Every round has an equal part of the time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from modelport.errors import ModelportError
from modelport_client.loadtest.found import Found
from modelport_client.tune.measuring import Measuring
from modelport_client.tune.settings import DEFAULTS, Setting


@dataclass
class Trial:
    """One setting, and what was found for it in each round; `error` says why it is out."""

    setting: Setting
    founds: list[Found] = field(default_factory=list)
    error: str | None = None

    @property
    def rate(self) -> float:
        """What the last and longest search found; 0 where no rate holds the bound."""
        return (self.founds[-1].rate or 0.0) if self.founds else 0.0


class Halving:
    """One tuning up to the last two.

    Args:
        measuring: starts and searches.
        settings: in the order in which they are tried; the first are the defaults.
        seconds: for all rounds.
        say: told what happens.
    """

    def __init__(
        self, measuring: Measuring, settings: Sequence[Setting], seconds: float, say: Callable[[str], None]
    ) -> None:
        self._measuring = measuring
        self._settings = settings
        self._say = say
        self._end = time.monotonic() + seconds
        self._start_s = 0.0  # what a server's start takes
        self.trials: list[Trial] = []

    def run(self) -> Trial | None:
        """The best setting beside the defaults; None when there is none that holds the bound."""
        defaults = Trial(DEFAULTS)
        self.trials = [defaults]
        self._measure(defaults, self._measuring.shortest_s)
        if defaults.error is not None or self._is_over():
            return None
        others = [Trial(setting) for setting in self._settings if setting != DEFAULTS][: self._how_many()]
        self.trials += others
        rounds = _rounds(len(others))
        for number in range(rounds):
            field_ = others if number == 0 else [*others, defaults]  # their first search of the defaults is done
            left = (self._end - time.monotonic()) / (rounds - number)
            seconds = max(left / max(1, len(field_)) - self._start_s, self._measuring.shortest_s)
            self._say(f"round {number + 1} of {rounds}: {len(field_)} settings, {seconds:.0f} s each")
            for trial in field_:
                if self._is_over():
                    return None
                self._measure(trial, seconds)
            ranked = sorted((one for one in others if one.error is None and one.rate), key=lambda one: -one.rate)
            others = ranked[: max(1, (len(ranked) + 1) // 2)]
            if not others:
                return None
        return others[0]

    def _how_many(self) -> int:
        """Settings for which the first round has time, where each round has an equal part of it."""
        left = self._end - time.monotonic()
        each = self._start_s + self._measuring.shortest_s
        count = 1
        while count < len(self._settings) - 1 and (count + 1) * each * _rounds(count + 1) <= left:
            count += 1
        return count

    def _measure(self, trial: Trial, seconds: float) -> None:
        begin = time.monotonic()
        try:
            with self._measuring.served(trial.setting) as measurement:
                first = measurement.pilot()
                self._start_s = max(self._start_s, time.monotonic() - begin)
                found = self._measuring.search(measurement, seconds, first)
        except ModelportError as error:
            trial.error = error.message
            if self._is_over():
                return
            self._say(f"  {trial.setting.name}: does not work: {error.message}")
            return
        if self._is_over():
            return
        trial.founds.append(found)
        rate = f"{found.rate:.4g}/s" if found.rate else f"none holds ({found.why_no_higher or 'the bound'})"
        self._say(f"  {trial.setting.name}: {rate}")

    def _is_over(self) -> bool:
        return self._measuring.interruption.happened


def _rounds(settings: int) -> int:
    """Until one of them is left."""
    return max(1, (settings - 1).bit_length())
