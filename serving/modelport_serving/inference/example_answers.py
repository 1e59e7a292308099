"""The answers of Classify and Regress: arrays, and their messages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from modelport.wire import messages
from modelport_serving.inference.run import Answer, Array, fill_spec


@dataclass(frozen=True)
class Classified:
    """What a classify signature gave: (n, classes) each, None where it has no such output."""

    classes: Array | None  # object array of bytes
    scores: Array | None  # float32


Classification = Answer[Classified]
Regression = Answer[Array]  # float32 (n,)


def classification_response(answer: Classification) -> messages.ClassificationResponse:
    """The message of a Classify answer."""
    response = messages.ClassificationResponse()
    fill_spec(response.model_spec, answer.servable_id, answer.signature)
    fill_classifications(response.result, answer.value)
    return response


def regression_response(answer: Regression) -> messages.RegressionResponse:
    """The message of a Regress answer."""
    response = messages.RegressionResponse()
    fill_spec(response.model_spec, answer.servable_id, answer.signature)
    fill_regressions(response.result, answer.value)
    return response


def fill_classifications(result: messages.ClassificationResult, classified: Classified) -> None:
    """Write a classification into its message; without such an output, a label is empty and a score 0."""
    result.SetInParent()
    classes, scores = classified.classes, classified.scores
    count, width = next((array.shape for array in (classes, scores) if array is not None), (0, 0))
    for row in range(count):
        entry = result.classifications.add()
        labels = [""] * width if classes is None else [_text(label) for label in classes[row]]
        values = [0.0] * width if scores is None else scores[row].tolist()
        for label, score in zip(labels, values, strict=True):
            entry.classes.add(label=label, score=score)


def fill_regressions(result: messages.RegressionResult, values: Array) -> None:
    """Write a regression into its message."""
    result.SetInParent()
    for value in values.tolist():
        result.regressions.add(value=value)


def _text(label: Any) -> str:
    """A label as the proto's string field takes it: UTF-8, or with its bad bytes replaced."""
    return label.decode(errors="replace") if isinstance(label, bytes) else str(label)
