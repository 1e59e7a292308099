"""`report.html` of a run: what was trained on what, how it went, how good it is and where it is wrong; one file."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from modelport.evaluation_rows import parts as split
from modelport_export import naming
from modelport_export.gate import quality
from modelport_export.gate.scoring import Scores, Unscored, score
from modelport_export.report_page import mistakes, parts, plots
from modelport_training.datasets.examples import Array, flatten, leaves

_MOST_POINTS = 2000  # of a drawing of numbers: more make it heavy and no clearer


Found = Mapping[str, tuple[Scores, Mapping[str, Any], Array]]  # by target: its scores, their details, the answers


def found(rows: Mapping[str, Array], outputs: Sequence[str], answers: Any) -> Found:
    """How good answers to held-out rows are; targets that cannot be scored are left out.

    Args:
        rows: inputs and targets by name.
        outputs: the names of the model's outputs, in their order.
        answers: of the model to the rows: an array, or a dict, list or tuple of arrays.
    """
    told, scored = _named(outputs, answers), {}
    for name, target in split(rows)[1].items():
        try:
            scores = score(name, target, told)
        except Unscored:
            continue  # texts, images: there is nothing to count
        scored[name] = (scores, quality.details(scores, None, np.arange(len(target))), told[scores.output])
    return scored


def render(facts: Mapping[str, Any], rows: Mapping[str, Array], scored: Found) -> str:
    """The page of a run.

    Args:
        facts: its record.
        rows: held-out inputs and targets by name.
        scored: see `found`.
    """
    return parts.small_enough(lambda most, draw: "".join(_page(facts, rows, scored, show=most, draw=draw)))


def _page(
    facts: Mapping[str, Any], rows: Mapping[str, Array], scored: Found, *, show: bool, draw: bool
) -> Iterator[str]:
    recipe = str(facts["recipe"]).rpartition(".")[2]
    metrics, data, labels = facts["metrics"], facts["dataset"], facts["labels"]
    yield from parts.head(f"{recipe} on {data['name']}")
    values = ", ".join(f"{name} {value:.4g}" for name, value in metrics.items())
    yield (
        f'<p class="verdict">{html.escape(values)} on {data["test_examples"]:,} held-out examples, as of epoch '
        f"{facts['best_epoch']} of {len(facts['history'])}.</p>"
    )
    if draw:
        yield from parts.section("Drawings", parts.figures(list(_drawings(facts, rows, scored))))
    for name, (_, details, _) in scored.items():
        yield from parts.section(f"By class: {name}", parts.by_class(details.get("classes", ()), labels, None))
        if show and details["mistakes"]:
            shown = mistakes.render(details["mistakes"], rows, labels)
            yield from parts.section(f"The worst mistakes: {name}", f'<div class="mistakes">{shown}</div>')
    yield from parts.section("Epochs", _epochs(facts["history"]))
    yield from parts.section("Settings", parts.pairs(facts["settings"]))
    yield from parts.section("Data", parts.pairs(data))
    lineage = {
        "command": " ".join(facts["command"]),
        "revision": facts["revision"] or "not known",
        **{f"code: {name}": digest for name, digest in facts["code"].items()},
        **facts["environment"],
    }
    yield from parts.section("Lineage", parts.pairs(lineage))
    yield "</body></html>\n"


def _drawings(facts: Mapping[str, Any], rows: Mapping[str, Array], scored: Found) -> Iterator[parts.Drawing]:
    yield "Learning curve", partial(plots.learning_curve, facts["history"])
    for name, (scores, details, told) in scored.items():
        if details.get("confusion"):
            yield f"Confusion: {name}", partial(plots.confusion, details["confusion"], facts["labels"])
        if details.get("calibration"):
            yield f"Calibration: {name}", partial(plots.calibration, details["calibration"])
        if scores.truth is None:
            truth = np.ravel(rows[name]).astype(float)[:_MOST_POINTS].tolist()
            answered = np.ravel(told).astype(float)[:_MOST_POINTS].tolist()
            if len(truth) == len(answered):
                yield f"Answered and true: {name}", partial(plots.predicted, truth, answered)
                yield f"How far off: {name}", partial(plots.residuals, truth, answered)


def _epochs(history: Sequence[Mapping[str, float]]) -> str:
    names = list(history[0])
    rows = [
        (str(number), *(f"{epoch.get(name, float('nan')):.5g}" for name in names))
        for number, epoch in enumerate(history, 1)
    ]
    return parts.table(("epoch", *names), rows)


def _named(outputs: Sequence[str], answers: Any) -> dict[str, Array]:
    """Answers by the names that the outputs have; they are those of the targets where there are several."""
    if isinstance(answers, Mapping):
        return {path.lstrip("."): np.asarray(one) for path, one in leaves(answers, "")}
    arrays = flatten(answers)
    names = outputs if len(outputs) == len(arrays) else naming.output_names(tuple(arrays))
    return {name: np.asarray(one) for name, one in zip(names, arrays, strict=True)}
