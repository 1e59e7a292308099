"""Several requests in one run: rows put together, run once, taken apart again.

Pure functions of arrays and of a callable that runs the model; when runs happen is `execution`'s business. Checks and
texts are those of TensorFlow Serving's `batching_session.cc`. Unlike there, a request whose inputs do not fit its
neighbours', or that fails, fails alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from modelport.errors import FailedPrecondition, InvalidArgument, ModelportError
from modelport_serving.batching import Limits

Array = np.ndarray[Any, np.dtype[Any]]
Feeds = Mapping[str, Array]
RunOnce = Callable[[Feeds], list[Array]]
Outcome = list[Array] | ModelportError

_PADDED_RANKS = range(1, 7)
_BRIEF_S = 0.005
_PATIENCE_S, _LOOK_S = 0.002, 0.0003
_BUSY_S, _LOOK_EVERY = 0.002, 256
_COMPANY = 16  # runs of a single request after which company is taken to have left
_CHECK_EVERY = 512
_TRIALS = 3  # joined runs that are compared with single ones before a model is trusted to keep rows apart


def row_count(feeds: Feeds) -> int | None:
    """The rows of a request; None when its inputs have no first dimension in common."""
    rows = -1
    for array in feeds.values():
        if not array.ndim or (rows >= 0 and len(array) != rows):
            return None
        rows = len(array)
    return rows if rows >= 0 else None


def checked_row_count(feeds: Feeds, limits: Limits) -> int:
    """The rows of a request to a batched model.

    Raises:
        InvalidArgument: no inputs, scalars, unequal or too many rows.
    """
    if not feeds:
        raise InvalidArgument("Batching Run() must have at least one input tensor")
    if not all(array.ndim for array in feeds.values()):
        raise InvalidArgument("Batching Run() input tensors must have at least one dimension")
    rows = row_count(feeds)
    if rows is None:
        raise InvalidArgument("Batching Run() input tensors must have equal 0th-dimension size")
    if rows > limits.max_rows:
        raise InvalidArgument(f"Task size {rows} is larger than maximum input batch size {limits.max_rows}")
    return rows


def likeness(feeds: Feeds, *, padded: bool) -> tuple[Any, ...]:
    """What two requests must have in common to share a run: dtypes and inner shapes, or only ranks where these are
    made equal by padding."""
    return tuple((a.dtype.num, a.ndim if padded else a.shape[1:], a.size > 0) for a in feeds.values())


def run_batched(run: RunOnce, requests: Sequence[Feeds], limits: Limits) -> list[Outcome]:
    """Run requests to a batched model, all of the same likeness, in one run or in as few as the limits allow."""
    try:
        outputs = _run_in_pieces(run, _joined(requests, pad=limits.pad), limits)
    except ModelportError as error:
        if len(requests) == 1:
            return [error]
        return [run_batched(run, [request], limits)[0] for request in requests]
    return list(_taken_apart(outputs, [len(next(iter(feeds.values()))) for feeds in requests]))


def run_joined(run: RunOnce, requests: Sequence[Feeds]) -> list[Outcome]:
    """Run requests together that nobody asked to be batched: whatever cannot be told apart afterwards, or fails, is
    run again one by one."""
    if len(requests) > 1:
        counts = [len(next(iter(feeds.values()))) for feeds in requests]
        try:
            outputs = run(_joined(requests, pad=False))
            _check_outputs(outputs, sum(counts))
            return list(_taken_apart(outputs, counts))
        except ModelportError:
            pass  # each request now gets the answer or the error that is its own
    return [_alone(run, feeds) for feeds in requests]


class Trust:
    """Whether runs of one set of inputs and outputs may be joined without being asked.

    A model whose graph writes variables or reduces over rows, or whose signature has no open first dimension, never is
    (`operations`). Of others the first joined runs, and one in a while later, are compared with single ones: rows may
    not influence one another. As the rows that came may be too much alike to show it, others are put beside them.
    """

    __slots__ = ("_company", "_joined_runs", "_last", "_runs_to_look", "_seconds", "expected", "joins")

    def __init__(self, joins: bool) -> None:
        self.joins = joins
        self._joined_runs = 0
        self._seconds = 0.0
        self._company = 0
        self._runs_to_look = 0
        self._last = 0.0
        self.expected = 1

    @property
    def is_brief(self) -> bool:
        """Whether runs can be joined, and end so soon that waiting for one costs less than running beside it."""
        return self.joins and self._seconds < _BRIEF_S

    def patience_s(self) -> float:
        """How long a run should wait for more requests to share it.

        Not at all, unless requests have been coming together: then a little, because each run costs more than a place
        in one. Whether they do is seen when some wait at the same time, and looked for once in a while: a client that
        waits for each answer before it asks again is held up by a third of a millisecond once in 256 requests, and
        only where it asks more than 500 times a second.
        """
        if not self.is_brief:
            return 0.0
        if self._company > 0:
            return _PATIENCE_S
        if self._runs_to_look <= 0 and time.monotonic() - self._last < _BUSY_S:
            self._runs_to_look = _LOOK_EVERY
            return _LOOK_S
        return 0.0

    def gathered(self, requests: int) -> None:
        """Note how many requests share the run that begins."""
        self._last = time.monotonic()
        self._runs_to_look -= 1
        self.expected = requests
        if requests > 1:
            self._company = _COMPANY
        elif self._company:
            self._company -= 1

    def took(self, seconds: float) -> None:
        """Note how long a run took; the last few dozen count."""
        self._seconds += (seconds - self._seconds) / 16

    def check(self, once: RunOnce, requests: Sequence[Feeds], outcomes: list[Outcome]) -> list[Outcome]:
        """The outcomes to give: those of the joined run once the model is trusted, single ones while it is tried."""
        if len(requests) == 1:
            return outcomes
        self._joined_runs += 1
        if self._joined_runs > _TRIALS and self._joined_runs % _CHECK_EVERY:
            return outcomes
        single = [run_joined(once, [feeds])[0] for feeds in requests]
        if not _agree(outcomes, single) or not self._holds_beside_others(once, requests[0], single[0]):
            self.joins = False
        return single

    def _holds_beside_others(self, once: RunOnce, request: Feeds, expected: Outcome) -> bool:
        """Whether a request is answered as before in runs with rows that differ from its own."""
        return all(
            _agree(
                run_joined(once, [request, {name: change(array) for name, array in request.items()}])[:1], [expected]
            )
            for change in (_smaller, _larger)
        )


ALWAYS, NEVER = Trust(True), Trust(False)


def _agree(outcomes: Sequence[Outcome], expected: Sequence[Outcome]) -> bool:
    """Whether requests were answered alike, but for the last digits that another batch size may change."""
    return all(
        isinstance(ours, list) and isinstance(theirs, list) and all(map(_close, ours, theirs))
        for ours, theirs in zip(outcomes, expected, strict=True)
    )


def _smaller(array: Array) -> Array:
    """Rows of the same kind, backwards, of half the size; empty strings."""
    backwards = array.reshape(-1)[::-1].reshape(array.shape)
    if array.dtype == object:
        return np.full(array.shape, b"", object)
    return backwards // 2 if array.dtype.kind in "iu" else backwards * 0.5 if array.dtype.kind == "f" else backwards


def _larger(array: Array) -> Array:
    """Rows of the same kind, backwards, of twice the size; strings said twice."""
    backwards = array.reshape(-1)[::-1].reshape(array.shape)
    if array.dtype == object:
        twice = np.empty(array.size, object)
        twice[:] = [item + b" " + item for item in backwards.reshape(-1).tolist()]
        return twice.reshape(array.shape)
    return backwards * 2 + 1 if array.dtype.kind in "iuf" else backwards


def _alone(run: RunOnce, feeds: Feeds) -> Outcome:
    try:
        return run(feeds)
    except ModelportError as error:
        return error


def _joined(requests: Sequence[Feeds], *, pad: bool) -> Feeds:
    if len(requests) == 1:
        return requests[0]
    joined = {}
    for name in requests[0]:
        arrays = [feeds[name] for feeds in requests]
        joined[name] = np.concatenate(_padded(arrays) if pad else arrays)
    return joined


def _padded(arrays: Sequence[Array]) -> Sequence[Array]:
    """Arrays of equal inner shape: each filled up at the ends with its own first element."""
    shapes = {array.shape[1:] for array in arrays}
    if len(shapes) == 1:
        return arrays
    if arrays[0].ndim not in _PADDED_RANKS:
        raise InvalidArgument("Only tensors with rank from 1 to 6 can be padded.")
    inner = tuple(map(max, *shapes))
    padded = []
    for array in arrays:
        full = np.full((len(array), *inner), array.flat[0], array.dtype)
        full[tuple(map(slice, array.shape))] = array
        padded.append(full)
    return padded


def _run_in_pieces(run: RunOnce, feeds: Feeds, limits: Limits) -> list[Array]:
    rows = len(next(iter(feeds.values())))
    step = limits.max_run_rows
    if rows <= step:
        return _run_sized(run, feeds, rows, limits)
    pieces = [
        _run_sized(run, {name: a[at : at + step] for name, a in feeds.items()}, min(step, rows - at), limits)
        for at in range(0, rows, step)
    ]
    return [np.concatenate(parts) for parts in zip(*pieces, strict=True)]


def _run_sized(run: RunOnce, feeds: Feeds, rows: int, limits: Limits) -> list[Array]:
    """One run, padded with its first row up to an allowed size; what the padding gave is dropped."""
    size = next((size for size in limits.sizes if size >= rows), rows) if rows else 0
    if size > rows:
        feeds = {name: np.concatenate([a, np.repeat(a[:1], size - rows, axis=0)]) for name, a in feeds.items()}
    outputs = run(feeds)
    _check_outputs(outputs, size)
    return [output[:rows] for output in outputs] if size > rows else outputs


def _check_outputs(outputs: Sequence[Array], rows: int) -> None:
    for output in outputs:
        if not isinstance(output, np.ndarray) or not output.ndim:  # a session gives a scalar string as bytes
            raise FailedPrecondition("Batched output tensor has 0 dimensions")
        if len(output) != rows:
            raise FailedPrecondition(
                "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes of the input "
                "tensors"
            )


def _taken_apart(outputs: Sequence[Array], counts: Sequence[int]) -> list[list[Array]]:
    if len(counts) == 1:
        return [list(outputs)]
    answers = []
    start = 0
    for count in counts:
        answers.append([output[start : start + count] for output in outputs])
        start += count
    return answers


def _close(ours: Array, theirs: Array) -> bool:
    if not isinstance(ours, np.ndarray) or not isinstance(theirs, np.ndarray) or ours.shape != theirs.shape:
        return False
    if ours.dtype.kind in "fc":
        return bool(np.allclose(ours, theirs, rtol=1e-4, atol=1e-6, equal_nan=True))
    return bool(np.array_equal(ours, theirs))
