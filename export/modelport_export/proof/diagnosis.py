"""Why a served answer is not the model's: found out by asking again, and by the graph in this process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from modelport_export.proof import parity
from modelport_export.signatures import Array

if TYPE_CHECKING:
    from modelport_export.proof.batches import Batch
    from modelport_export.proof.prove import Subject

_AGAIN = 5  # times; asked only where answers differ


def cause(subject: Subject, signature: str, batch: Batch, received: Mapping[str, Array], *, steady: bool) -> str:
    """One or two sentences: what differs, and what to do.

    Args:
        subject: what was asked.
        signature: of the answer.
        batch: the request.
        received: the served answer.
        steady: see `is_steady`.
    """
    tolerance = subject.tolerances[signature]
    if not steady:
        return (
            "The model itself answers the same rows differently each time: it is random at inference, or keeps state "
            "between calls, and cannot be proven."
        )
    if subject.traced is None:
        return "TensorFlow itself, with the folder that was given, answers otherwise."
    try:
        traced = subject.traced(signature, subject.feeds(batch.samples)[signature])
    except Exception as error:  # whatever the graph raises
        return f"Its graph cannot be run in this process either ({type(error).__name__}: {error})."
    if _equal(traced, received, tolerance, subject.labels):
        return (
            "The model answers otherwise when Keras runs it as a graph, which is what a server does, than when it is "
            "called: look for Python conditions, loops or shapes in a layer's call (TimeDistributed over an open "
            "number of steps is one), or fix the sizes of its inputs."
        )
    return "The graph in this process answers as the model does: what was written or loaded is not what was traced."


def is_steady(subject: Subject, signature: str, batch: Batch, expected: Mapping[str, Array]) -> bool:
    """Whether the model itself answers the same request alike, again and again.

    Some of TensorFlow's kernels read memory that nobody has written where an image is smaller than a filter.
    """
    tolerance = subject.tolerances[signature]
    answers = (subject.expected(batch.samples)[signature] for _ in range(_AGAIN))
    return all(_equal(expected, again, tolerance, subject.labels) for again in answers)


def _equal(one: Mapping[str, Array], other: Mapping[str, Array], tolerance: float, labels: Sequence[str]) -> bool:
    try:
        parity.differences(one, other, tolerance, labels=labels)
    except parity.Different:
        return False
    return True
