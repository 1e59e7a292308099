"""What `--set` says of a setting: a range, some values, or one."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modelport.errors import InvalidArgument
from modelport_training.settings import Settings

# Fields of Settings that a trial may have a value of its own for; any other name is an option of the recipe's build.
SETTINGS = ("epochs", "batch_size", "learning_rate", "seed", "patience", "precision", "class_weight")
_RANGE = re.compile(r"(?P<low>[^:]+?)\.\.(?P<high>[^:]+?)(?P<log>:log)?")


@dataclass(frozen=True)
class Choice:
    """The values that a setting may have.

    Args:
        name: of the setting.
        low: the least, of a range.
        high: the greatest.
        log: whether each power of ten is as likely as another.
        values: of a list; one value is always taken.
    """

    name: str
    low: float | int | None = None
    high: float | int | None = None
    log: bool = False
    values: tuple[Any, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Choice:
        """Read `NAME=1e-4..1e-2:log`, `NAME=32,64` or `NAME=3`.

        Raises:
            InvalidArgument: it is none of these.
        """
        name, equals, told = text.partition("=")
        wrong = f"Expected NAME=LOW..HIGH, NAME=LOW..HIGH:log, NAME=A,B or NAME=VALUE. Received: {text!r}"
        if not equals or not name.isidentifier() or not told:
            raise InvalidArgument(wrong)
        if found := _RANGE.fullmatch(told):
            low, high = (_value(found[end]) for end in ("low", "high"))
            if (
                not all(isinstance(one, int | float) and not isinstance(one, bool) for one in (low, high))
                or low >= high
            ):
                raise InvalidArgument(f"{wrong}, whose LOW is no number below HIGH")
            if found["log"] and low <= 0:
                raise InvalidArgument(f"{wrong}; a range by its powers begins above 0")
            return cls(name, low, high, bool(found["log"]))
        return cls(name, values=tuple(_value(one) for one in told.split(",")))

    def suggest(self, trial: Any) -> Any:
        """A value for a trial of Optuna."""
        if len(self.values) == 1:
            return self.values[0]
        if self.values:
            return trial.suggest_categorical(self.name, self.values)
        if isinstance(self.low, int) and isinstance(self.high, int):
            return trial.suggest_int(self.name, self.low, self.high, log=self.log)
        return trial.suggest_float(self.name, self.low, self.high, log=self.log)

    def ends(self) -> list[tuple[str, Any]]:
        """Its name with each value, or with both ends of the range."""
        return [(self.name, value) for value in self.values or (self.low, self.high)]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**dataclasses.asdict(self), "values": list(self.values)}


def settings_with(base: Settings, values: Mapping[str, Any], **others: Any) -> Settings:
    """The settings of a trial.

    Args:
        base: of all trials.
        values: of this one, by name.
        **others: further fields.

    Raises:
        InvalidArgument: a value is out of its range.
    """
    fields = {name: value for name, value in values.items() if name in SETTINGS}
    options = {name: value for name, value in values.items() if name not in SETTINGS}
    return dataclasses.replace(base, **fields, options={**base.options, **options}, **others)


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
