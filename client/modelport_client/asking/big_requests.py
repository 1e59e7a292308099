"""Requests of many rows: cut into parts, sent with several under way, and put together again in order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from modelport.errors import FailedPrecondition, InvalidArgument, NotFound, ResourceExhausted
from modelport_client.asking.steps import Steps, Together
from modelport_client.prediction import Array, Prediction

# Half of what a gRPC message may have: what is beyond it in the answer, or around the arrays, has the other half.
_MOST_BYTES = 1 << 30
# Bytes. No limit on messages in the field is lower by default: nginx' is this, gRPC's 4 MiB. A smaller request that
# is refused with RESOURCE_EXHAUSTED met a server without room, which more requests do not help.
_SMALLEST_LIMIT = 1 << 20
_UNDER_WAY = 4  # parts: one that is computed, one that is sent, one that is read, and one to spare
_ROUNDS = 4  # of asking anew because a version changes while its parts are asked


AUTO = "auto"


@dataclass(frozen=True)
class Limits:
    """How large a request may be: `rows` (or "auto", as many as go) and `bytes` of its inputs."""

    rows: int | str | None = None
    bytes: int | None = None

    def __post_init__(self) -> None:
        for name, limit in (("batch_rows", self.rows), ("batch_bytes", self.bytes)):
            if limit is None or (limit == AUTO and name == "batch_rows"):
                continue
            if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
                raise InvalidArgument(f"Expected a {name} of 1 at least, or batch_rows='auto'. Received: {limit!r}")

    @property
    def are_given(self) -> bool:
        """Whether somebody asked for any."""
        return self.rows is not None or self.bytes is not None


Predict = Callable[[Mapping[str, Array], int | None], Steps[Prediction]]
"""Asks for some rows, of a version by number or of the one that is meant."""


def size_of(arrays: Mapping[str, Array]) -> int:
    """The bytes of the values."""
    return sum(_bytes_of(array) for array in arrays.values())


def predict(arrays: Mapping[str, Array], limits: Limits, ask: Predict, wanted: int | None) -> Steps[Prediction]:
    """The answers to all rows, by one version.

    The first part tells the version, by whose number the others are asked for; where it is gone before the last part
    all are asked for anew. A part that the server finds too large (RESOURCE_EXHAUSTED) is cut into halves.

    Args:
        arrays: input name -> values, the rows first.
        limits: of a part.
        ask: sends a part.
        wanted: the version; None for the one that is meant.

    Raises:
        InvalidArgument: inputs with different numbers of rows, or a scalar.
        FailedPrecondition: answers that have not a row for each row.
        ResourceExhausted: the server takes not even one row, or not even 1 MiB.
        NotFound: the versions change as fast as they are asked.
    """
    count = _rows_of(arrays)
    parts = list(_cut(arrays, count, limits))
    for turn in range(_ROUNDS):
        first = yield from _ask_part(parts[0], ask, wanted)
        version = first.version if wanted is None else wanted
        try:
            rest: Sequence[Prediction] = []
            if len(parts) > 1:
                rest = yield Together([_ask_part(part, ask, version) for part in parts[1:]], _UNDER_WAY)
        except NotFound:
            if wanted is not None or turn == _ROUNDS - 1:
                raise
            continue
        answers = [first, *rest]
        if len({answer.version for answer in answers}) == 1:
            return _joined(answers)
    raise NotFound("Expected a version that stays while all parts are asked. Received answers of several versions.")


def _ask_part(arrays: Mapping[str, Array], ask: Predict, version: int | None) -> Steps[Prediction]:
    count = len(next(iter(arrays.values())))
    try:
        answer = yield from ask(arrays, version)
    except ResourceExhausted:
        if count < 2 or size_of(arrays) < _SMALLEST_LIMIT:
            raise
    else:
        refuse_other_rows(answer, count)
        return answer
    half = count // 2
    one = yield from _ask_part({name: array[:half] for name, array in arrays.items()}, ask, version)
    other = yield from _ask_part({name: array[half:] for name, array in arrays.items()}, ask, version or one.version)
    return _joined([one, other])


def _rows_of(arrays: Mapping[str, Array]) -> int:
    counts = {name: len(array) if array.ndim else None for name, array in arrays.items()}
    count = next(iter(counts.values()), None)
    if count is None or len(set(counts.values())) > 1:
        raise InvalidArgument(f"Expected inputs with one number of rows, to cut them. Received: {counts}")
    return count


def _cut(arrays: Mapping[str, Array], count: int, limits: Limits) -> list[dict[str, Array]]:
    size = size_of(arrays)
    a_row = max(1, -(-size // max(1, count)))
    wanted = limits.rows if isinstance(limits.rows, int) else count
    rows = max(1, min(wanted, (limits.bytes or _MOST_BYTES) // a_row))
    starts = range(0, max(1, count), max(1, rows))
    return [{name: array[start : start + rows] for name, array in arrays.items()} for start in starts]


def _bytes_of(array: Array) -> int:
    return array.nbytes if array.dtype != object else sum(map(len, array.ravel().tolist()))


def refuse_other_rows(answer: Prediction, count: int) -> None:
    """
    Raises:
        FailedPrecondition: an output has not a row for each of so many rows.
    """
    wrong = {name: list(array.shape) for name, array in answer.items() if not array.ndim or len(array) != count}
    if wrong:
        raise FailedPrecondition(
            f"Expected a row in each output for each of {count} rows, so that answers can be put together. Received "
            f"the shapes {wrong}; ask for other outputs, or for all rows at once."
        )


def _joined(answers: Sequence[Prediction]) -> Prediction:
    first = answers[0]
    if len(answers) == 1:
        return first
    shapes = {name: {answer.raw[name].shape[1:] for answer in answers} for name in first.raw}
    wrong = [name for name, found in shapes.items() if len(found) > 1]
    if wrong:
        raise FailedPrecondition(
            f"Expected rows of one shape in all parts. Received several for {wrong}: "
            f"{sorted(map(str, shapes[wrong[0]]))}"
        )
    arrays = {name: np.concatenate([answer.raw[name] for answer in answers]) for name in first.raw}
    return Prediction(arrays, first.model, first.version, first.signature)
