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
        output: that was scored.
        prefix: put before the metrics' names, where there are several targets.
        judged: the metric that decides.
        rows: metric → one figure a row, whose mean the metric is.
        truth: class of every row, of a classifier.
        told: class that was answered.
        confidence: of the class that was answered, where the answers are probabilities.
        broken: rows whose answers are NaN or infinite; a class is then wrong, a number is left out of the means.
    """

    output: str
    prefix: str
    judged: str
    rows: Mapping[str, Array]
    truth: Array | None = None
    told: Array | None = None
    confidence: Array | None = None
    broken: int = 0
    means: Mapping[str, float] = field(init=False)

    def __post_init__(self) -> None:
        finite = {name: values[np.isfinite(values)] for name, values in self.rows.items()}
        means = {self.prefix + name: float(values.mean()) for name, values in finite.items() if len(values)}
        object.__setattr__(self, "means", means)


class Unscored(Exception):
    """It cannot be told how good the answers are; the message says why."""


def score(name: str, target: Array, answers: Mapping[str, Array]) -> Scores:
    """Hold answers against what they ought to be.

    Whole numbers against scores of several classes are classes, and so are rows of one 1 among 0s; 0 and 1 against one
    probability are yes or no; anything else is compared as numbers.

    Args:
        name: of the target: `label` is for the only output, or for the `class_id` of an image classifier.
        target: one a row.
        answers: of the signature, by output.

    Raises:
        Unscored: it does not say which output it is for, or fits it not.
    """
    output = _output_of(name, answers)
    answer = np.asarray(answers[output])
    if answer.dtype.kind == "V":  # bfloat16 and its kind, which numpy does not know
        answer = answer.astype(np.float32)
    prefix = "" if name == _LABEL else f"{output}_"
    if len(answer) != len(target):
        raise Unscored(f"{output!r} has {len(answer)} answers for {len(target)} rows")
    if target.dtype.kind == "f" and not np.isfinite(target).all():
        raise Unscored(f"the target {name!r} has NaN or infinity")
    wanted = target[:, 0] if target.ndim == 2 and target.shape[1] == 1 else target
    if answer.ndim == 2 and answer.shape[1] > 1 and answer.dtype.kind in "iuf":
        if wanted.ndim == 1 and wanted.dtype.kind in "iu":
            return _classes(prefix, output, wanted, answer)
        if wanted.shape == answer.shape and _is_one_hot(wanted):
            return _classes(prefix, output, wanted.argmax(axis=1), answer)
    if wanted.ndim == 1 and wanted.dtype.kind in "iub" and answer.size == len(wanted) and np.isin(wanted, (0, 1)).all():
        return _yes_or_no(prefix, output, wanted.astype(np.int64), answer.reshape(-1))
    return _numbers(prefix, output, name, target, answer)


def _is_one_hot(target: Array) -> bool:
    return bool(np.isin(target, (0, 1)).all() and (target.sum(axis=1) == 1).all())


def _yes_or_no(prefix: str, output: str, wanted: Array, answer: Array) -> Scores:
    """One probability a row, which says yes above one half."""
    if answer.dtype.kind not in "f":
        raise Unscored(f"{output!r} ({answer.dtype}) is to say yes or no, and is no probability")
    finite = np.isfinite(answer)
    if ((answer[finite] < 0) | (answer[finite] > 1)).any():
        raise Unscored(
            f"{output!r} is to say yes or no and has values outside 0 to 1: scores whose threshold is not known. Give "
            "probabilities (a sigmoid at the end)"
        )
    scores = np.where(finite, answer, 0.5).astype(np.float64)
    told = np.where(finite, scores > 0.5, -1).astype(np.int64)
    of_truth = np.where(wanted == 1, scores, 1 - scores)
    rows = {
        "accuracy": (told == wanted).astype(np.float64),
        "log_loss": -np.log(np.where(finite, np.clip(of_truth, _LEAST_PROBABILITY, 1.0), _LEAST_PROBABILITY)),
    }
    told = np.where(finite, told, 1 - wanted)
    return Scores(output, prefix, "accuracy", rows, wanted, told, np.maximum(scores, 1 - scores), int((~finite).sum()))


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
    scores = answer.astype(np.float64)
    finite = np.asarray(np.isfinite(scores).all(axis=1))
    told = np.where(finite, np.where(finite[:, None], scores, 0).argmax(axis=1), (wanted + 1) % answer.shape[1])
    rows: dict[str, Array] = {"accuracy": (told == wanted).astype(np.float64)}
    confidence = None
    sums = scores[finite]
    most = _SUM_ERROR * max(1, answer.shape[1] ** 0.5)
    if answer.dtype.kind == "f" and len(sums) and (sums >= 0).all() and (abs(sums.sum(axis=1) - 1) <= most).all():
        of_truth = np.where(finite, scores[np.arange(len(wanted)), wanted], 0.0)
        rows["log_loss"] = -np.log(np.clip(of_truth, _LEAST_PROBABILITY, 1.0))
        confidence = np.where(finite, scores.max(axis=1), 0.0)
    broken = int((~finite).sum())
    return Scores(output, prefix, "accuracy", rows, wanted.astype(np.int64), told, confidence, broken)


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
    broken = int((~np.isfinite(off).all(axis=1)).sum())
    return Scores(output, prefix, "mean_absolute_error", rows, broken=broken)
