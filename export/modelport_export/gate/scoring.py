"""How good answers are, row by row: what can be averaged, compared in pairs, and drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from modelport_export.signatures import Array

_LEAST_PROBABILITY = 1e-7  # what Keras clips to, too: log(0) is no number
_SUM_ERROR = 1e-3  # that rows of probabilities may be off 1; bfloat16 rounds by 4e-3 of each
_LABEL, _TARGET = "label", "target_"
LOWER_IS_BETTER = frozenset(("log_loss", "mean_absolute_error", "mean_squared_error"))


@dataclass(frozen=True)
class Scores:
    """The figures of one target.

    Args:
        prefix: put before the metrics' names, where there are several targets.
        judged: the metric that decides.
        rows: metric → one figure a row, whose mean the metric is.
        truth: class of every row, of a classifier.
        told: class that was answered.
        confidence: of the class that was answered, where the answers are probabilities.
    """

    prefix: str
    judged: str
    rows: Mapping[str, Array]
    truth: Array | None = None
    told: Array | None = None
    confidence: Array | None = None
    means: Mapping[str, float] = field(init=False)

    def __post_init__(self) -> None:
        means = {self.prefix + name: float(values.mean()) for name, values in self.rows.items()}
        object.__setattr__(self, "means", means)


class Unscored(Exception):
    """It cannot be told how good the answers are; the message says why."""


def score(name: str, target: Array, answers: Mapping[str, Array]) -> Scores:
    """Hold answers against what they ought to be.

    Whole numbers against scores of several classes are classes; anything else is compared as numbers.

    Args:
        name: of the target: `label` is for the only output, or for the `class_id` of an image classifier.
        target: one a row.
        answers: of the signature, by output.

    Raises:
        Unscored: it does not say which output it is for, or fits it not.
    """
    output = _output_of(name, answers)
    answer = np.asarray(answers[output])
    prefix = "" if name == _LABEL else f"{output}_"
    if len(answer) != len(target):
        raise Unscored(f"{output!r} has {len(answer)} answers for {len(target)} rows")
    flat = target.reshape(len(target), -1) if target.ndim > 1 and target.shape[1:] == (1,) else target
    wanted = flat[:, 0] if flat.ndim == 2 and flat.shape[1] == 1 else flat
    if wanted.dtype.kind in "iu" and wanted.ndim == 1 and answer.ndim == 2 and answer.shape[1] > 1:
        return _classes(prefix, output, wanted, answer)
    return _numbers(prefix, output, name, target, answer)


def _output_of(name: str, answers: Mapping[str, Array]) -> str:
    if name.startswith(_TARGET):
        output = name.removeprefix(_TARGET)
        if output not in answers:
            raise Unscored(f"the target {name!r} is for no output ({', '.join(sorted(answers))})")
        return output
    if answers.keys() >= {"probabilities", "class_id", "label"}:  # the signature of our image classifiers
        return "probabilities"
    if len(answers) != 1:
        raise Unscored(
            f"'label' does not say for which of the outputs it is: name it target_{min(answers)} or the like"
        )
    return next(iter(answers))


def _classes(prefix: str, output: str, wanted: Array, answer: Array) -> Scores:
    if wanted.min(initial=0) < 0 or wanted.max(initial=0) >= answer.shape[1]:
        raise Unscored(f"the targets of {output!r} are not all among its {answer.shape[1]} classes")
    told = answer.argmax(axis=1)
    rows: dict[str, Array] = {"accuracy": (told == wanted).astype(np.float64)}
    confidence = None
    if answer.dtype.kind == "f":
        scores = answer.astype(np.float64)
        if (scores >= 0).all() and (abs(scores.sum(axis=1) - 1) <= _SUM_ERROR * max(1, answer.shape[1] ** 0.5)).all():
            of_truth = scores[np.arange(len(wanted)), wanted]
            rows["log_loss"] = -np.log(np.clip(of_truth, _LEAST_PROBABILITY, 1.0))
            confidence = scores.max(axis=1)
    return Scores(prefix, "accuracy", rows, wanted.astype(np.int64), told, confidence)


def _numbers(prefix: str, output: str, name: str, target: Array, answer: Array) -> Scores:
    if target.dtype.kind not in "iufb" or answer.dtype.kind not in "iufb":
        raise Unscored(f"the target {name!r} ({target.dtype}) and {output!r} ({answer.dtype}) are not both numbers")
    if target.size != answer.size:
        raise Unscored(f"the target {name!r} has the shape {target.shape}, and {output!r} has {answer.shape}")
    with np.errstate(all="ignore"):
        off = (answer.astype(np.float64).reshape(len(target), -1)) - target.astype(np.float64).reshape(len(target), -1)
        rows: dict[str, Any] = {
            "mean_absolute_error": abs(off).mean(axis=1),
            "mean_squared_error": (off**2).mean(axis=1),
        }
    return Scores(prefix, "mean_absolute_error", rows)
