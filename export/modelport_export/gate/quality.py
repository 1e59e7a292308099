"""How good a version is on held-out rows: against its bounds, and against the live version on the same rows."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from modelport.errors import InvalidArgument
from modelport_export.gate import metric_directions
from modelport_export.gate.asking import Answers
from modelport_export.gate.bootstrap import LEAST_ROWS, interval
from modelport_export.gate.bounds import Gate
from modelport_export.gate.scoring import LOWER_IS_BETTER, Scores, Unscored, score
from modelport_export.gate.verdict import Check, Outcome
from modelport_export.signatures import Array

MOST_CLASSES = 1000  # whose figures are kept: the manifest stays small
MOST_MISTAKES = 12  # that are shown
_BINS = 10  # of the confidences, for the calibration


def evaluate(
    answers: Answers, targets: Mapping[str, Array], live: int | None, non_finite: Collection[str] = ()
) -> tuple[list[Check], dict[str, Any], list[Scores]]:
    """Score the answers of the new version, and of the live one beside it.

    Args:
        answers: of the new version, then of the live one where there is one.
        targets: what they ought to be, all rows.
        live: its number; None where there is none.
        non_finite: outputs that may hold NaN or infinity.

    Returns:
        The checks; the figures for the manifest; the new version's scores.
    """
    checks: list[Check] = []
    figures: dict[str, Any] = {"rows": len(answers.rows), "metrics": {}, "targets": {}}
    found: list[Scores] = []
    if answers.outputs[0] is None:
        return [Check("quality", "warning", f"It could not be evaluated: {answers.faults[0]}")], figures, found
    if live is not None and answers.outputs[1] is None:
        sentence = f"Version {live} could not be evaluated on the same rows: {answers.faults[1]}"
        checks.append(Check("quality", "warning", sentence))
    for name, target in targets.items():
        wanted = target[answers.rows]
        try:
            mine = score(name, wanted, answers.outputs[0])
        except Unscored as error:
            checks.append(Check("quality", "reported", f"Not evaluated: {error}."))
            continue
        theirs = None
        if live is not None and answers.outputs[1] is not None:
            try:
                theirs = score(name, wanted, answers.outputs[1])
            except Unscored as error:
                checks.append(Check("quality", "warning", f"Version {live} could not be evaluated: {error}."))
        found.append(mine)
        if mine.broken and mine.output not in non_finite:
            sentence = (
                f"{mine.broken:,} of {len(wanted):,} answers to held-out rows are NaN or infinite in {mine.output!r}."
            )
            checks.append(Check("quality", "refused", sentence, "finite answers"))
        if theirs is not None and theirs.judged != mine.judged:
            sentence = (
                f"It cannot be compared with version {live}: one is judged by {mine.judged}, one by {theirs.judged}."
            )
            checks.append(Check("quality", "warning", sentence))
            theirs = None
        figures["metrics"].update(mine.means)
        figures["targets"][name] = details(mine, theirs, answers.rows)
        checks += _compared(mine, theirs, live) if theirs is not None else [_alone(mine, len(wanted))]
    return checks, figures, found


def _alone(mine: Scores, rows: int) -> Check:
    told = ", ".join(f"{name} {value:.4g}" for name, value in mine.means.items())
    return Check("quality", "reported", f"{told} on {rows:,} held-out rows.", "", {"metrics": dict(mine.means)})


def _compared(mine: Scores, theirs: Scores, live: int | None) -> Iterator[Check]:
    for name in (name for name in mine.rows if name in theirs.rows):
        full = mine.prefix + name
        sign = 1.0 if name in LOWER_IS_BETTER else -1.0
        both = np.isfinite(mine.rows[name]) & np.isfinite(theirs.rows[name])
        rows = int(both.sum())
        if not rows:
            yield Check("quality", "warning", f"{full}: there are no rows that both versions answer with numbers.")
            continue
        worse, low, high = interval(sign * (mine.rows[name] - theirs.rows[name])[both])
        figures = {
            "metric": full,
            "value": float(mine.rows[name][both].mean()),
            "live": float(theirs.rows[name][both].mean()),
            "worse_by": worse,
            "low": low,
            "high": high,
            "rows": rows,
        }
        values = (figures["value"], figures["live"])
        told = f"{full} {values[0]:.4g}, of version {live} {values[1]:.4g} on the same {rows:,} rows"
        outcome: Outcome
        if name != mine.judged or rows < LEAST_ROWS:
            outcome, sentence = "reported", f"{told}."
            if rows < LEAST_ROWS:
                sentence += f" Fewer than {LEAST_ROWS} rows decide nothing."
        elif low > 0:
            outcome = "refused"
            sentence = f"It is worse beyond noise: {told}; worse by {low:.2g} to {high:.2g}, with 95 % certainty."
        elif high < 0:
            outcome = "passed"
            sentence = f"It is better: {told}; better by {-high:.2g} to {-low:.2g}, with 95 % certainty."
        else:
            outcome = "passed"
            sentence = f"It is as good, as far as the rows tell: {told}; worse by {low:.2g} to {high:.2g}."
        yield Check("quality", outcome, sentence, "the live version on the same rows", figures)


def details(mine: Scores, theirs: Scores | None, rows: Array) -> dict[str, Any]:
    """What a report shows of a target: figures by class, confusion and calibration of a classifier, the worst mistakes.

    Args:
        mine: the scores of the model.
        theirs: those of the live version on the same rows.
        rows: their numbers.
    """
    return {**_by_class(mine, theirs), "mistakes": _mistakes(mine, rows)}


def _by_class(mine: Scores, theirs: Scores | None) -> dict[str, Any]:
    """Per-class figures, confusion and calibration of a classifier; empty for numbers."""
    if mine.truth is None or mine.told is None:
        return {}
    classes = int(max(mine.truth.max(initial=0), mine.told.max(initial=0))) + 1
    if classes > MOST_CLASSES:
        return {}
    right = mine.rows["accuracy"]
    per_class = []
    for number in range(classes):
        chosen = mine.truth == number
        if not chosen.any():
            continue
        entry: dict[str, Any] = {"class": number, "rows": int(chosen.sum()), "recall": float(right[chosen].mean())}
        if theirs is not None:
            other = theirs.rows["accuracy"][chosen]
            entry["live"] = float(other.mean())
            entry["worse_by"] = interval(other - right[chosen])
        per_class.append(entry)
    found: dict[str, Any] = {"classes": per_class}
    table = np.zeros((classes, classes), np.int64)
    np.add.at(table, (mine.truth, mine.told), 1)
    if classes <= 50:
        found["confusion"] = table.tolist()
    if mine.confidence is not None:
        place = np.minimum((mine.confidence * _BINS).astype(int), _BINS - 1)
        found["calibration"] = [
            {
                "rows": int((place == one).sum()),
                "confidence": float(mine.confidence[place == one].mean()),
                "accuracy": float(right[place == one].mean()),
            }
            for one in range(_BINS)
            if (place == one).any()
        ]
    return found


def _mistakes(mine: Scores, rows: Array) -> list[dict[str, float]]:
    """The worst answers: wrong classes by confidence, numbers by how far they are off."""
    found = []
    if mine.truth is not None and mine.told is not None:
        sure = mine.confidence if mine.confidence is not None else np.zeros(len(rows))
        wrong = np.flatnonzero(mine.truth != mine.told)
        for place in wrong[np.argsort(-sure[wrong], kind="stable")][:MOST_MISTAKES]:
            entry = {"row": int(rows[place]), "truth": int(mine.truth[place]), "told": int(mine.told[place])}
            found.append({**entry, "confidence": float(sure[place])})
        return found
    off = np.nan_to_num(mine.rows[mine.judged], nan=np.inf, posinf=np.inf)
    worst = np.argsort(-off, kind="stable")[:MOST_MISTAKES]
    return [{"row": int(rows[place]), "off": float(min(off[place], 1e308))} for place in worst]


def hold(gate: Gate, served: Mapping[str, float], trained: Mapping[str, float]) -> Iterator[Check]:
    """Hold metrics against absolute bounds: as served on held-out rows, else as the training measured them.

    Raises:
        InvalidArgument: a bound for a metric that is not there; the message has the nearest.
    """
    known = {**trained, **served}
    for kind, bounds in (("min", gate.min), ("max", gate.max)):
        for metric, bound in bounds.items():
            if metric not in known:
                near = difflib.get_close_matches(metric, known, 1)
                hint = f" Did you mean {near[0]!r}?" if near else ""
                have = ", ".join(sorted(known)) or "none is known"
                raise InvalidArgument(
                    f"Expected a metric of this version in the bound {kind} ({have}). Received: {metric!r}.{hint}"
                )
            value = known[metric]
            holds = value >= bound if kind == "min" else value <= bound
            least = "at least" if kind == "min" else "at most"
            where = "as served on held-out rows" if metric in served else "as the training measured it"
            sentence = f"{metric} is {value:.4g} {where}; {least} {bound:g} is asked for."
            yield Check("quality", "passed" if holds else "refused", sentence, f"{kind} {metric} {bound:g}")


def compare_metrics(
    metrics: Mapping[str, float],
    live: Mapping[str, float],
    outputs: Sequence[str] = (),
    told: Mapping[str, str] | None = None,
) -> dict[str, dict[str, float | None]]:
    """Metric → value, value of the live version, and regression, for the metrics of both, as their trainings said.

    A regression is positive where the metric is worse, None where it is not known which way is better.

    Args:
        metrics: of the version.
        live: of the live one.
        outputs: names that Keras puts before a metric's.
        told: see `Gate.metric_directions`.
    """
    table: dict[str, dict[str, float | None]] = {}
    for name in sorted(set(metrics) & set(live)):
        value, before = float(metrics[name]), float(live[name])
        better = (told or {}).get(name) or metric_directions.of(name, outputs)
        worse = {"min": value - before, "max": before - value, None: None}[better]
        table[name] = {"value": value, "live": before, "regression": worse}
    return table


def hold_regressions(
    gate: Gate, table: Mapping[str, Mapping[str, float | None]], *, compared: bool = True
) -> Iterator[Check]:
    """Hold the trainings' own metrics against `max_regression`.

    Args:
        gate: has the bound.
        table: see `compare_metrics`.
        compared: whether there is a live version that has metrics.

    Raises:
        InvalidArgument: of a metric it is not known which way is better.
    """
    if gate.max_regression is None:
        return
    bound = f"max_regression {gate.max_regression:g}"
    if compared and not table:
        sentence = "A regression is bounded, and no metric of the training is one of the live version's, too."
        yield Check("quality", "refused", f"{sentence} Give metrics of the same names.", bound)
    for name, row in table.items():
        if row["regression"] is None:
            raise InvalidArgument(
                f"Expected to know whether {name!r} is better when lower or when higher, because a regression is "
                f"bounded. It is none of Keras' own metrics: say --metric-direction {name}=min or "
                f"{name}=max (Gate(metric_directions=…))."
            )
        holds = row["regression"] <= gate.max_regression
        sentence = (
            f"{name} is {row['value']:.6g}, of the live version {row['live']:.6g}, as their trainings measured it; at "
            f"most {gate.max_regression:g} worse is asked for."
        )
        yield Check("quality", "passed" if holds else "refused", sentence, bound)
