"""The bounds of the gate: as flags, as arguments, and as `modelport.toml` at the root of a project.

[gate]                       for every model
max_p99_ms = 20
[gate.digits]                for this one, over what stands above
min = { accuracy = 0.95 }
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modelport.errors import InvalidArgument
from modelport.regular_files import read_text

FILE = Path("modelport.toml")
_TABLE = "gate"
_NEAR = 0.8  # of difflib's ratio, above which a name is one that was meant
_MOST_BYTES = 2**20  # of the file: some 10,000 models at 100 bytes each

Directions = Mapping[str, str]


@dataclass(frozen=True)
class Gate:
    """Bounds; None is no bound.

    Args:
        min: metric → the least that it may be.
        max: metric → the most that it may be.
        max_regression: how much worse than the live version any metric may be, in the metric's own unit.
        max_p50_ms: latency of a single request, median in milliseconds.
        max_p99_ms: latency of a single request, 99th percentile in milliseconds.
        max_first_ms: latency of the first request after the load, in milliseconds.
        max_load_seconds: from the start of a server to the version being available.
        max_resident_mib: resident memory of a server with this version, in MiB.
        max_size_mib: of all files of the version, in MiB.
        metric_directions: metric → "min" or "max", which is better; of Keras' own losses and metrics it is known.
        allow_ops: operations that read or write files, call Python or talk to others, and are allowed all the same.
        evaluation_rows: whether held-out rows go along with the version, for the comparison with later ones.

    Raises:
        InvalidArgument: a bound that is negative or no number, or a direction that is neither.
    """

    min: Mapping[str, float] = field(default_factory=dict)
    max: Mapping[str, float] = field(default_factory=dict)
    max_regression: float | None = None
    max_p50_ms: float | None = None
    max_p99_ms: float | None = None
    max_first_ms: float | None = None
    max_load_seconds: float | None = None
    max_resident_mib: float | None = None
    max_size_mib: float | None = None
    metric_directions: Directions = field(default_factory=dict)
    allow_ops: Sequence[str] = ()
    evaluation_rows: bool = True

    def __post_init__(self) -> None:
        for metric, direction in self.metric_directions.items():
            if direction not in ("min", "max"):
                raise InvalidArgument(
                    f"Expected the direction of the metric {metric!r} as min or max. Received: {direction!r}"
                )
        for name in _NUMBERS:
            bound = getattr(self, name)
            if bound is not None and not (_is_number(bound) and bound >= 0):
                raise InvalidArgument(f"Expected {name} to be 0 or more. Received: {bound!r}")
        for name in ("min", "max"):
            for metric, bound in getattr(self, name).items():
                if not _is_number(bound):
                    raise InvalidArgument(f"Expected the bound {name} of {metric!r} as a number. Received: {bound!r}")

    def over(self, other: Gate) -> Gate:
        """These bounds, with the other's where these say nothing."""
        merged: dict[str, Any] = {}
        for one in dataclasses.fields(self):
            mine, theirs = getattr(self, one.name), getattr(other, one.name)
            if isinstance(mine, Mapping):
                merged[one.name] = {**theirs, **mine}
            elif isinstance(mine, bool):
                merged[one.name] = mine and theirs
            elif isinstance(mine, int | float) or mine is None:
                merged[one.name] = theirs if mine is None else mine
            else:
                merged[one.name] = (*theirs, *mine)
        return Gate(**merged)


_NUMBERS = [one.name for one in dataclasses.fields(Gate) if one.type == "float | None"]
_FORMS = {
    **dict.fromkeys(_NUMBERS, "a number"),
    **dict.fromkeys(("min", "max"), "a table of numbers, such as { accuracy = 0.95 }"),
    "metric_directions": 'a table, such as { my_score = "max" }',
    "allow_ops": "a list of names",
    "evaluation_rows": "true or false",
}


def read(path: Path, model: str, others: Sequence[str] = ()) -> Gate:
    """The bounds of a model in a `modelport.toml`; none where the file does not speak of a gate.

    Args:
        path: the file.
        model: whose bounds.
        others: models that are known: bounds of none of them, under a name near this one, are a mistake.

    Raises:
        InvalidArgument: no TOML, an unknown key, or a value of another form; the message has the nearest name.
        NotFound, PermissionDenied, …: the file cannot be read.
    """
    try:
        whole = tomllib.loads(read_text(path, _MOST_BYTES, "read the bounds"))
    except tomllib.TOMLDecodeError as error:
        raise InvalidArgument(f"Expected TOML in {str(path)!r}. Received: {error}") from error
    _refuse_unknown(whole, [_TABLE], path, "")
    table = whole.get(_TABLE, {})
    if not isinstance(table, dict):
        raise InvalidArgument(f"Expected [{_TABLE}] in {str(path)!r} as a table. Received: {table!r}")
    known = set(_FORMS)
    models = {key: value for key, value in table.items() if key not in known and isinstance(value, dict)}
    for_all = {key: value for key, value in table.items() if key not in models}
    _refuse_unknown(for_all, sorted(known), path, f"{_TABLE}.")
    found = Gate(**_checked(for_all, path, f"{_TABLE}."))
    strangers = [name for name in models if name not in others]
    if model not in models and difflib.get_close_matches(model, strangers, 1, _NEAR):
        wrong = difflib.get_close_matches(model, strangers, 1, _NEAR)[0]
        raise InvalidArgument(
            f"Expected bounds of models that there are in {str(path)!r}. Received: [{_TABLE}.{wrong}]. Did you mean "
            f"[{_TABLE}.{model}]?"
        )
    for name, bounds in models.items():  # all are read: a mistake is found before its model comes
        _refuse_unknown(bounds, sorted(known), path, f"{_TABLE}.{name}.")
        own = Gate(**_checked(bounds, path, f"{_TABLE}.{name}."))
        if name == model:
            found = own.over(found)
    return found


def _refuse_unknown(table: Mapping[str, Any], known: Sequence[str], path: Path, where: str) -> None:
    for key in table:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise InvalidArgument(
                f"Expected {', '.join(known)} in {str(path)!r}. Received: {where}{key}.{hint}"
                + ("" if where else f" Bounds stand below [{_TABLE}] or [{_TABLE}.MODEL].")
            )


def _checked(table: Mapping[str, Any], path: Path, where: str) -> dict[str, Any]:
    for key, value in table.items():
        if key in ("min", "max"):
            right = isinstance(value, dict) and all(map(_is_number, value.values()))
        elif key == "metric_directions":
            right = isinstance(value, dict) and all(isinstance(one, str) for one in value.values())
        elif key == "allow_ops":
            right = isinstance(value, list) and all(isinstance(one, str) for one in value)
        elif key == "evaluation_rows":
            right = isinstance(value, bool)
        else:
            right = _is_number(value)
        if not right:
            raise InvalidArgument(f"Expected {where}{key} in {str(path)!r} as {_FORMS[key]}. Received: {value!r}")
    return dict(table)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
